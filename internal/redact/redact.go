// Package redact takes the secrets out of what a program shows: logs, error
// texts, printed configurations, its own command line.
//
// It hides too much rather than too little. An operator's password may hold any
// character, escaped or not, so the text cannot be taken apart the way a URL
// without mistakes could.
//
//	redis://user:pa/ss@host:6379/0?password=x&db=1
//	        └─┬┘ └─┬─┘                  └┬┘
//	        shown  xxxxx                xxxxx
package redact

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Hidden stands for a secret.
const Hidden = "xxxxx"

const (
	schemeMark = "://"
	textEnd    = " \t\r\n\"'`" // what ends a URL in a text
)

// Text hides the passwords of every URL in a text: what stands before the last
// @ of a URL, but for a user's name, and the values of its query, but for those
// known to be harmless. It gives a text without URLs back as it is.
func Text(text string) string {
	if !strings.Contains(text, schemeMark) {
		return text
	}
	var out strings.Builder
	for {
		at := strings.Index(text, schemeMark)
		if at < 0 {
			break
		}
		start := at + len(schemeMark)
		end := start + urlEnd(text[start:])
		out.WriteString(text[:start])
		out.WriteString(rest(text[start:end]))
		text = text[end:]
	}
	out.WriteString(text)
	return out.String()
}

// Address is Text for what was meant to be an address or several, but may lack
// its scheme or hold what ends a URL in a text: then all before the last @ is
// hidden.
func Address(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at >= 0 && (!strings.Contains(text, schemeMark) || strings.ContainsAny(text, textEnd)) {
		return Hidden + text[at:]
	}
	return Text(text)
}

// Args is Text for each word of a command line.
func Args(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = Text(arg)
	}
	return out
}

// Attr is Text for what a log line says, in the form of slog's ReplaceAttr:
// texts, errors and whatever else is written as text.
func Attr(_ []string, a slog.Attr) slog.Attr {
	var text string
	switch a.Value.Kind() {
	case slog.KindString:
		text = a.Value.String()
	case slog.KindAny:
		text = fmt.Sprint(a.Value.Any())
	default:
		return a
	}
	if shown := Text(text); shown != text {
		a.Value = slog.StringValue(shown)
	}
	return a
}

// urlEnd is where a URL ends, given what follows its ://. White space and quotes
// end it; so does the last comma before another URL of a list. (A comma may also
// be a password's.)
func urlEnd(s string) int {
	end := strings.IndexAny(s, textEnd)
	if end < 0 {
		end = len(s)
	}
	next := strings.Index(s[:end], schemeMark)
	if next < 0 {
		return end
	}
	if comma := strings.LastIndexByte(s[:next], ','); comma >= 0 {
		return comma
	}
	return end // not a list: a password with :// in it
}

// rest redacts what follows the :// of a URL.
func rest(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		user, _, ok := strings.Cut(s[:at], ":")
		switch {
		case strings.ContainsAny(s[:at], "?#"):
			// Either side of the @ may be a password's: host?password=a@b.
			return Hidden
		case ok && !strings.Contains(user, "/"):
			return user + ":" + Hidden + query(s[at:])
		}
		return Hidden + query(s[at:])
	}
	return query(s)
}

// query hides the values of a URL's query.
func query(s string) string {
	path, parameters, ok := strings.Cut(s, "?")
	if !ok {
		return s
	}
	parts := strings.FieldsFunc(parameters, func(r rune) bool { return r == '&' || r == ';' })
	for i, part := range parts {
		name, value, has := strings.Cut(part, "=")
		switch {
		case has && slices.Contains(harmless(), name) && !strings.Contains(value, "#"):
		case has:
			parts[i] = name + "=" + Hidden
		default:
			parts[i] = Hidden // the rest of a value with & in it
		}
	}
	return path + "?" + strings.Join(parts, "&")
}

// harmless are parameters of Redis' URLs that hold no secret.
func harmless() []string {
	return []string{"addr", "client_cache", "client_name", "db", "dial_timeout", "master_set", "max_retries", "protocol", "skip_verify", "write_timeout"}
}
