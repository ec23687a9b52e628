package node

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// banner prints what the node found and chose, in XMRig's manner.
func (n *Node) banner(out io.Writer, loops, workers int) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, " * %-13s%s\n", name, fmt.Sprintf(format, args...))
	}
	for _, l := range n.cpu.Banner() {
		fmt.Fprintln(out, l)
	}
	for _, l := range n.epochs.Banner(workers, n.pads.wanted()) {
		fmt.Fprintln(out, l)
	}
	line("CRYPTONIGHT", "%s", n.cryptoNight())
	for kernel, err := range n.cryptonight.Refused() {
		line("", "kernel %v refused: %v", kernel, err)
	}
	line("WORKERS", "%d hash threads (%s), %d event loops, %d cores", workers, n.pinning, loops, n.cpu.Cores)
}

// cryptoNight is the kernel, and for the pools' algorithms the lanes and memory
// of each thread: "kernel vaes512; cn/0 8 lanes, 16 MiB a thread on THP".
func (n *Node) cryptoNight() string {
	kernel := fmt.Sprintf("kernel %v", n.cryptonight.Kernel())
	if len(n.expected) == 0 {
		return kernel
	}
	var parts []string
	for _, a := range n.expected {
		parts = append(parts, fmt.Sprintf("%v %d lanes", a, n.cryptonight.Width(a)))
	}
	return kernel + "; " + strings.Join(append(parts, n.pads.String()), ", ")
}

// ports prints where miners connect, as bound.
func (n *Node) ports(out io.Writer) {
	addrs := n.server.Addrs()
	i := 0
	for _, p := range n.cfg.Pools {
		for _, l := range p.Ports {
			var notes []string
			if l.Description != "" {
				notes = append(notes, l.Description)
			}
			if l.Hidden {
				notes = append(notes, "hidden")
			}
			fmt.Fprintf(out, " * %-13s%s  %s (%s)  difficulty %d, %d to %d  %s\n", "PORT",
				addrs[i].Addr, p.Name, p.Pool.Coin.Name, l.StartDifficulty, l.MinDifficulty, l.MaxDifficulty, strings.Join(notes, ", "))
			i++
		}
	}
	fmt.Fprintf(out, " * %-13shttp://%s (/metrics, /readyz)\n", "ADMIN", n.admin.Addr())
}

// nodeName is this node in block records and logs.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	return name
}
