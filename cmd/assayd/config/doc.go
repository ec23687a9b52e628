// Package config is everything an operator can turn on a node: the flags, what
// they mean, their bounds, and how they fit together.
//
//	command line, ASSAY_…, file ──options──▶ Config ──▶ node.Run
//	                                 │ check: addresses, listeners, daemons
//	                                 └──▶ --check-config, --print-config, --help
//
// The help texts are the reference for an SRE: what a flag does, its unit, and
// when to turn it. A limit that no operator should need is a named constant
// beside the code it limits.
package config
