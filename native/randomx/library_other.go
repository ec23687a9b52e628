//go:build !(cgo && linux && amd64)

package randomx

// openLibrary has no library to open in this build.
func openLibrary(Config) (library, error) { return nil, ErrNoCgo }
