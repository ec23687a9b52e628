package stratum

import (
	"bytes"

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

// Limits of what a request may hold. A longer field is an error, never cut:
// what is cut would be credited to somebody else.
const (
	MaxLogin = 256 // an integrated address has 106 characters; worker and difficulty follow
	MaxPass  = 256
	MaxAgent = 256 // XMRig's names its version, system and libraries: about 120
	MaxRigID = 128
	MaxAlgos = 64 // XMRig lists 25 or so
	MaxAlgo  = 64 // of one name
	MaxDepth = 4  // request, params, list, and one to spare
)

// Fault is what is wrong with a request, in the words the client is sent.
type Fault string

// Error is the wire text.
func (f Fault) Error() string { return string(f) }

// The faults Parse finds.
const (
	ErrSyntax   Fault = "Parse error: not a JSON object on one line"
	ErrNesting  Fault = "Parse error: nested too deeply"
	ErrMethod   Fault = "Invalid request: no method"
	ErrParams   Fault = "Invalid request: params must be an object"
	ErrField    Fault = "Invalid request: a parameter has the wrong type"
	ErrTooLong  Fault = "Invalid request: a parameter is too long"
	ErrNoLogin  Fault = "Invalid request: login is missing"
	ErrAlgoList Fault = "Invalid request: algo must be a list of names"
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
	json fastjson.Parser
	id   []byte // scratch of ID.set
}

// Parse reads one line, without its line feed, to r. An error is a Fault,
// whose text goes to the client as it is; r.ID and r.Method are
// then set as far as they could be read.
func (p *Parser) Parse(line []byte, r *Request) error {
	*r = Request{}
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
	return readParams(o.Get("params"), r)
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

func readParams(v *fastjson.Value, r *Request) error {
	if v == nil || v.Type() == fastjson.TypeNull {
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
		return loginFields(o, r)
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

func loginFields(o *fastjson.Object, r *Request) error {
	fields := [...]struct {
		name string
		max  int
		to   *[]byte
	}{
		{"login", MaxLogin, &r.Login}, {"pass", MaxPass, &r.Pass},
		{"agent", MaxAgent, &r.Agent}, {"rigid", MaxRigID, &r.RigID},
	}
	for _, f := range fields {
		s, ok := text(o.Get(f.name))
		switch {
		case !ok:
			return ErrField
		case len(s) > f.max:
			return ErrTooLong
		}
		*f.to = s
	}
	if len(r.Login) == 0 {
		return ErrNoLogin
	}
	return algoList(o.Get("algo"), r)
}

// algoList reads the algorithms a miner can do. Names we do not know are
// passed over, and an empty list says as little as none.
func algoList(v *fastjson.Value, r *Request) error {
	if v == nil || v.Type() == fastjson.TypeNull {
		return nil
	}
	if v.Type() != fastjson.TypeArray {
		return ErrAlgoList
	}
	list := v.GetArray()
	if len(list) > MaxAlgos {
		return ErrTooLong
	}
	for _, item := range list {
		name, ok := text(item)
		switch {
		case !ok || name == nil:
			return ErrAlgoList
		case len(name) > MaxAlgo:
			return ErrTooLong
		}
		if id, err := algo.Parse(string(name)); err == nil {
			r.Algos |= 1 << id
		}
	}
	r.HasAlgos = len(list) > 0
	return nil
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
