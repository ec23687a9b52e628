package kernels

import (
	"fmt"
	"io"
	"strings"
)

// columns are the table's formats: 99 characters, so that it is read whole in
// a terminal of 100.
const (
	tableHead = "%-13s %-8s %5s %3s %9s %8s %8s %6s %7s %-5s %-8s %s\n"
	tableRow  = "%-13s %-8s %5d %3d %9.1f %8.3f %8.2f %6s %7s %-5s %-8s %s\n"
)

// Write prints the results as a table, an empty line between algorithms.
func Write(w io.Writer, list []Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, tableHead, "ALGORITHM", "KERNEL", "WIDTH", "THR", "H/S", "MS/HASH", "BATCH MS", "×LANE", "×THREAD", "PAGES", "CHECKSUM", "VERDICT")
	last := ""
	for _, r := range list {
		if last != "" && r.Algo != last {
			b.WriteByte('\n')
		}
		last = r.Algo
		verdict := "ok"
		if !r.OK {
			verdict = "MISMATCH"
		}
		fmt.Fprintf(&b, tableRow, r.Algo, r.Kernel, r.Width, r.Threads, r.Rate, r.HashMS, r.BatchMS,
			ratio(r.XLane), ratio(r.XThread), r.Pages, r.Checksum[:8], verdict)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ratio leaves unmeasured ones out.
func ratio(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}
