package stratum

import (
	"bytes"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/assay-pool/assay/native/algo"
)

// Method is what a request asks for.
type Method uint8

// The methods. Bitcoin stands for every "mining.…" method: a miner of another
// coin's protocol that deserves to be told so.
const (
	NoMethod Method = iota
	Login
	GetJob
	Submit
	Keepalive
	Bitcoin
	UnknownMethod

	// Methods is the number of methods, for tables indexed by one.
	Methods
)

// String is the method's metric label.
func (m Method) String() string {
	if m >= Methods {
		return "invalid"
	}
	return [Methods]string{"none", "login", "getjob", "submit", "keepalived", "mining", "unknown"}[m]
}

// Limits of what a request may hold, beside the length of a line, which is the
// caller's to bound. What says who is credited is refused when it is longer,
// never cut: what is cut would be credited to somebody else. What only informs
// is cut, because refusing it would cost a miner its work for nothing.
const (
	MaxLogin = 256 // refused; an integrated address has 106 characters, worker and difficulty follow
	MaxPass  = 256 // refused
	MaxRigID = 256 // refused
	MaxAgent = 256 // cut; XMRig's names its version, system and libraries: about 120
	MaxAlgos = 256 // cut; XMRig lists 40 or so, forks twice that
	MaxDepth = 4   // refused; request, params, list, and one to spare
)

// Fault is what is wrong with a request, in the words the client is sent.
type Fault string

// Error is the wire text.
func (f Fault) Error() string { return string(f) }

// The faults Parse finds.
const (
	ErrSyntax  Fault = "Parse error: not a JSON object on one line"
	ErrNesting Fault = "Parse error: nested too deeply"
	ErrMethod  Fault = "Invalid request: no method"
	ErrParams  Fault = "Invalid request: params must be an object"
	ErrField   Fault = "Invalid request: a parameter has the wrong type"
	ErrTooLong Fault = "Invalid request: a parameter is too long"
	ErrNoLogin Fault = "Invalid request: login is missing"
)

// Request is one line from a miner. Its byte slices are views of the Parser's
// buffer and die at its next Parse.
type Request struct {
	ID     ID
	Method Method

	// Session is params.id: the session a miner believes it is. Nil when absent.
	Session []byte

	// Of a login.
	Login, Pass, Agent, RigID []byte
	// HasAlgos is set when the miner said what it can mine, in Algos.
	HasAlgos bool
	Algos    AlgoSet

	// Of a submit: the texts as sent, to be read by ParseNonce and ParseResult.
	// Malformed is set when one is absent or not a string; the request is a
	// share all the same, and counts as one (I1).
	JobID, Nonce, Result []byte
	Malformed            bool
}

// AlgoSet is a set of algorithms.
type AlgoSet uint64

// Has reports whether id is in the set.
func (s AlgoSet) Has(id algo.ID) bool { return s&(1<<id) != 0 }

// Parser reads requests. Not safe for concurrent use: one for each event loop.
type Parser struct {
	json    fastjson.Parser
	id      []byte // scratch of ID.set
	numbers []byte // texts of numbers that stand where texts do; a line's length at most
}

// bom is U+FEFF in UTF-8. Some editors and Windows' own tools write it before
// the first character, and so do miners that take their requests from there.
const bom = "\xef\xbb\xbf"

// blanks are what JSON takes for white space.
const blanks = " \t\r\n"

// Trim takes from a line what is no part of its JSON: blanks around it, and a
// byte order mark before it. Nothing is left of a blank line.
func Trim(line []byte) []byte { return bytes.TrimRight(TrimLeft(line), blanks) }

// TrimLeft is Trim for the beginning of a line whose end has not come yet.
func TrimLeft(line []byte) []byte {
	line = bytes.TrimLeft(line, blanks)
	for bytes.HasPrefix(line, []byte(bom)) {
		line = bytes.TrimLeft(line[len(bom):], blanks)
	}
	return line
}

// Parse reads one line, without its line feed, to r. An error is a Fault,
// whose text goes to the client as it is; r.ID and r.Method are
// then set as far as they could be read.
func (p *Parser) Parse(line []byte, r *Request) error {
	*r = Request{}
	line = Trim(line)
	if !shallow(line) {
		return ErrNesting
	}
	v, err := p.json.ParseBytes(line)
	if err != nil {
		// The library's text quotes the line; ours is short and the same for all.
		return ErrSyntax
	}
	o := v.GetObject()
	if o == nil {
		return ErrSyntax
	}
	p.id = r.ID.set(o.Get("id"), p.id)
	method, ok := text(o.Get("method"))
	if !ok || len(method) == 0 {
		return ErrMethod
	}
	r.Method = methodOf(method)
	if r.Method >= Bitcoin {
		return nil
	}
	return p.readParams(o.Get("params"), r)
}

func methodOf(name []byte) Method {
	switch string(name) {
	case "login":
		return Login
	case "getjob":
		return GetJob
	case "submit":
		return Submit
	case "keepalived":
		return Keepalive
	}
	if bytes.HasPrefix(name, []byte("mining.")) {
		return Bitcoin
	}
	return UnknownMethod
}

func (p *Parser) readParams(v *fastjson.Value, r *Request) error {
	none := v == nil || v.Type() == fastjson.TypeNull
	if r.Method == GetJob || r.Method == Keepalive {
		none = none || v.Type() == fastjson.TypeArray && len(v.GetArray()) == 0
	}
	if none {
		switch r.Method {
		case Login:
			return ErrNoLogin
		case Submit:
			r.Malformed = true
		}
		return nil
	}
	o := v.GetObject()
	if o == nil {
		// A submit is a share whatever it carries.
		r.Malformed = r.Method == Submit
		if r.Malformed {
			return nil
		}
		return ErrParams
	}
	session, ok := text(o.Get("id"))
	r.Session = session
	switch r.Method {
	case Submit:
		r.Malformed = !submitFields(o, r) || !ok
		return nil
	case Login:
		// The id means nothing before the login has given one.
		return p.loginFields(o, r)
	}
	if !ok {
		return ErrField
	}
	return nil
}

// submitFields reads a share's fields; false when one of them is no string.
func submitFields(o *fastjson.Object, r *Request) bool {
	var job, nonce, result bool
	r.JobID, job = text(o.Get("job_id"))
	r.Nonce, nonce = text(o.Get("nonce"))
	r.Result, result = text(o.Get("result"))
	return job && nonce && result && r.JobID != nil && r.Nonce != nil && r.Result != nil
}

func (p *Parser) loginFields(o *fastjson.Object, r *Request) error {
	var ok bool
	if r.Login, ok = text(o.Get("login")); !ok {
		return ErrField // an address is no number
	}
	p.numbers = p.numbers[:0]
	for _, f := range [...]struct {
		name string
		to   *[]byte
	}{{"pass", &r.Pass}, {"rigid", &r.RigID}, {"agent", &r.Agent}} {
		if *f.to, ok = p.textOrNumber(o.Get(f.name)); !ok {
			return ErrField
		}
	}
	switch {
	case len(r.Login) > MaxLogin, len(r.Pass) > MaxPass, len(r.RigID) > MaxRigID:
		return ErrTooLong
	case len(r.Login) == 0:
		return ErrNoLogin
	}
	r.Agent = cutText(r.Agent, MaxAgent)
	readAlgos(o.Get("algo"), r)
	return nil
}

// textOrNumber is [text], and of a number the text it was written as: a miner
// whose rig is called 7, or whose password is 1234, may write it so in its
// configuration.
func (p *Parser) textOrNumber(v *fastjson.Value) ([]byte, bool) {
	if v == nil || v.Type() != fastjson.TypeNumber {
		return text(v)
	}
	begin := len(p.numbers)
	p.numbers = v.MarshalTo(p.numbers)
	return p.numbers[begin:len(p.numbers):len(p.numbers)], true
}

// cutText is the beginning of s of at most limit bytes, cut between characters.
func cutText(s []byte, limit int) []byte {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// readAlgos reads the algorithms a miner can do: a list of names, or a single
// one. Names we do not know and what is no name are passed over; no list, an
// empty one, and something else in its place say nothing, so any algorithm goes.
func readAlgos(v *fastjson.Value, r *Request) {
	if v == nil {
		return
	}
	list := v.GetArray()
	if v.Type() == fastjson.TypeString {
		list = []*fastjson.Value{v}
	}
	for _, item := range list[:min(len(list), MaxAlgos)] {
		name, ok := text(item)
		if !ok || name == nil {
			continue
		}
		r.HasAlgos = true
		if id, ok := algo.Lookup(string(name)); ok {
			r.Algos |= 1 << id
		}
	}
}

// text is a string's bytes; nil and true when v is absent or null, false when
// it is something else.
func text(v *fastjson.Value) ([]byte, bool) {
	if v == nil {
		return nil, true
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return nil, true
	case fastjson.TypeString:
		s, err := v.StringBytes()
		if s == nil {
			s = []byte{}
		}
		return s, err == nil
	}
	return nil, false
}

// shallow reports whether brackets nest no deeper than MaxDepth. fastjson has
// a limit of its own, 300, but wraps its error once per level: deep nonsense
// would cost megabytes of text. Almost every line has so few brackets that
// counting them, which the CPU does sixteen bytes at a time, is the whole test.
func shallow(line []byte) bool {
	if bytes.Count(line, []byte{'{'})+bytes.Count(line, []byte{'['}) <= MaxDepth {
		return true
	}
	depth, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}
