package cryptonight

import "errors"

// What Hash and the constructors return, wrapped with the details.
var (
	// ErrNoCgo: the program was built without cgo, or not for amd64.
	ErrNoCgo = errors.New("CryptoNight needs a build with cgo for linux/amd64")
	// ErrAlgorithm: not a variant of CryptoNight.
	ErrAlgorithm = errors.New("not a CryptoNight algorithm")
	// ErrInput: lengths and input do not agree, or a v1 variant got fewer than
	// MinInput bytes.
	ErrInput = errors.New("bad input")
	// ErrOutput: the output holds fewer than 32 bytes a hash.
	ErrOutput = errors.New("output too small")
	// ErrClosed: the worker has been closed.
	ErrClosed = errors.New("worker is closed")
)
