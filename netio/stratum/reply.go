package stratum

import (
	"strconv"

	"github.com/assay-pool/assay/validator"
)

// Each reply is one line, line feed included. Field order and spacing are those
// of the pools XMRig is tested against.

func appendHead(dst []byte, id *ID) []byte {
	dst = append(dst, `{"id":`...)
	dst = id.Append(dst)
	return append(dst, `,"jsonrpc":"2.0",`...)
}

// AppendError appends an error answer with code -1, the only one miners know.
func AppendError(dst []byte, id *ID, text string) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `"error":{"code":-1,"message":`...)
	dst = appendString(dst, text)
	return append(dst, "}}\n"...)
}

// AppendNotice appends an error that answers no request. Its id is a number, and
// none that a miner uses (XMRig counts from 1): only an error with a number is
// shown, and held against the texts at which XMRig leaves, by every version.
func AppendNotice(dst []byte, text string) []byte {
	dst = append(dst, `{"id":0,"jsonrpc":"2.0","error":{"code":-1,"message":`...)
	dst = appendString(dst, text)
	return append(dst, "}}\n"...)
}

// AppendVerdict appends the answer to a submit.
func AppendVerdict(dst []byte, id *ID, v validator.Verdict) []byte {
	if v == validator.Accepted {
		return appendStatus(dst, id, "OK")
	}
	return AppendError(dst, id, Text(v))
}

// AppendKeepalive appends the answer to keepalived.
func AppendKeepalive(dst []byte, id *ID) []byte { return appendStatus(dst, id, "KEEPALIVED") }

func appendStatus(dst []byte, id *ID, status string) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `"error":null,"result":{"status":"`...)
	dst = append(dst, status...)
	return append(dst, "\"}}\n"...)
}

// AppendLogin appends the answer to a login: the session's id, its first job,
// and the extensions we speak. "nicehash" and "connect" are not among them: no
// nonce bytes are fixed, and nobody is ever sent elsewhere.
func AppendLogin(dst []byte, id *ID, session []byte, job *Job) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `"error":null,"result":{"id":"`...)
	dst = append(dst, session...)
	dst = append(dst, `","job":`...)
	dst = job.append(dst, session)
	return append(dst, `,"extensions":["algo","keepalive"],"status":"OK"}}`+"\n"...)
}

// AppendJobResult appends the answer to getjob.
func AppendJobResult(dst []byte, id *ID, session []byte, job *Job) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `"error":null,"result":`...)
	dst = job.append(dst, session)
	return append(dst, "}\n"...)
}

// AppendJobPush appends a job nobody asked for.
func AppendJobPush(dst []byte, session []byte, job *Job) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","method":"job","params":`...)
	dst = job.append(dst, session)
	return append(dst, "}\n"...)
}

// appendString appends s as a JSON string. Error texts are ours, but one may
// carry an algorithm's or an operator's word.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }
