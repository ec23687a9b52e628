package redact

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "",
		"no address at all: a:b@c":              "no address at all: a:b@c",
		"redis://host:6379/0":                   "redis://host:6379/0",
		"http://h:1,zmq=tcp://h:2":              "http://h:1,zmq=tcp://h:2",
		"redis://user:s3cret@host:6379/0":       "redis://user:xxxxx@host:6379/0",
		"redis://:s3cret@host":                  "redis://:xxxxx@host",
		"redis://s3cret@host":                   "redis://xxxxx@host",
		"redis://:s3@cret@host":                 "redis://:xxxxx@host",
		"redis://:s3/cret@host/1":               "redis://:xxxxx@host/1",
		"redis://s3/cr:et@host/1":               "redis://xxxxx@host/1",
		"redis://:s3#cret@host":                 "redis://xxxxx",
		"redis://:s3?cret@host":                 "redis://xxxxx",
		"redis://:s3,cret@a,redis://:s3cret@b":  "redis://:xxxxx@a,redis://:xxxxx@b",
		"redis://:a://s3cret@b":                 "redis://:xxxxx@b",
		"redis://a,redis://u:s3cret@b":          "redis://a,redis://u:xxxxx@b",
		"redis://h/0?password=s3cret&db=1":      "redis://h/0?password=xxxxx&db=1",
		"redis://h?password=s3&cret":            "redis://h?password=xxxxx&xxxxx",
		"redis://h?password=s3@cret":            "redis://xxxxx",
		"redis://h?db=1#s3cret":                 "redis://h?db=xxxxx",
		"unix:///run/r.sock?password=s3cret":    "unix:///run/r.sock?password=xxxxx",
		"http://u:s3cret@h:1,zmq=tcp://h:2":     "http://u:xxxxx@h:1,zmq=tcp://h:2",
		`get "http://u:s3cret@h/x": refused`:    `get "http://u:xxxxx@h/x": refused`,
		"at redis://:s3cret@a and mail me: x@y": "at redis://:xxxxx@a and mail me: x@y",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
		if got := Text(Text(in)); got != want {
			t.Errorf("Text of its own output is %q, want %q", got, want)
		}
	}
	if got := Address("user:s3,c/ret@host:1"); got != "xxxxx@host:1" {
		t.Errorf("Address = %q", got)
	}
	if got := Address("redis://u:my s3cret@host:1"); got != "xxxxx@host:1" {
		t.Errorf("Address = %q", got)
	}
	if got := Args([]string{"--redis=redis://:s3cret@h", "--redis", "redis://:s3cret@h"}); strings.Contains(strings.Join(got, " "), "s3cret") {
		t.Errorf("Args = %q", got)
	}
}

func TestAttr(t *testing.T) {
	for name, form := range map[string]func(io.Writer, *slog.HandlerOptions) slog.Handler{
		"text": func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
		"json": func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) },
	} {
		t.Run(name, func(t *testing.T) {
			const url = "redis://u:s3cret@h"
			var out strings.Builder
			log := slog.New(form(&out, &slog.HandlerOptions{ReplaceAttr: Attr})).With("with", url)
			log.Info("at "+url, "url", url, "err", errors.New(url), slog.Group("group", "in", url), "list", []string{url}, "n", 7)
			if strings.Contains(out.String(), "s3cret") || strings.Count(out.String(), "u:xxxxx@h") != 6 || !strings.Contains(out.String(), "7") {
				t.Error(out.String())
			}
		})
	}
}

// FuzzText: no password of a URL survives, whatever it is made of, with one
// exception: what ends the URL in a text ends the password's hiding too.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"s3cret", "s/3", "s@3", "s?3#", "s,3", "s:3", "s&3=", "%2f", "://", ",a://b@c"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, password string, inQuery bool) {
		if len(password) < 4 || strings.ContainsAny(password, " \t\r\n\"'`") {
			return
		}
		text := "redis://user:" + password + "@host:6379/0"
		if inQuery {
			text = "redis://host:6379/0?password=" + password
			if strings.Contains(password, "://") || strings.ContainsAny(password, "&;=") {
				return // cannot be told from further parameters
			}
		} else if strings.Contains(password, ",") && strings.Contains(password, "://") {
			return // cannot be told from a list
		}
		if got := Text(text); strings.Contains(got, password) && !strings.Contains("user:"+Hidden+"@host:6379/0?password=", password) {
			t.Errorf("Text(%q) = %q", text, got)
		}
	})
}
