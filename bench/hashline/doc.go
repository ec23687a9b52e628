// Package hashline hashes what it reads, line by line, with any algorithm.
//
//	"cn/1 0305… \n"   Parse     equal algorithm,      Hasher
//	stdin ──line──▶ Request ──▶ height and seed ──batch──▶ Native ──▶ one hash a line
//	         │                  at most MaxBatch             │ native/cryptonight
//	         └ bad: *LineError                               └ native/randomx
//
// Hashes come in the order of the lines. A batch is hashed once it is full, the
// next line has another key, or no further line is waiting: a program that
// writes one line and reads its answer never waits for a second line.
package hashline
