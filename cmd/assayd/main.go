// Command assayd is a node of an Assay pool; --help tells the rest.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/cmd/assayd/node"
	"github.com/assay-pool/assay/cmd/assayd/sink"
	"github.com/assay-pool/assay/cmd/assayd/tools"
	"github.com/assay-pool/assay/internal/redact"
	"github.com/assay-pool/assay/netio/admin"
)

// version is set by the linker; scripts/build does.
var version = "development"

// flushGrace is what a reader of the log gets to take the last lines. It comes
// on top of --stop-timeout, so it is short beside the 2 s that are promised
// there; a reader that reads at all takes a full buffer in milliseconds.
const flushGrace = 500 * time.Millisecond

func main() { os.Exit(run()) }

func run() int {
	if code, ours := tools.Run(version, os.Args[1:], os.Stdout, os.Stderr); ours {
		return code
	}
	cfg, code, ok := config.Load(version)
	if !ok {
		return code
	}
	if cfg.Probe {
		if err := admin.Probe(context.Background(), cfg.Admin.Listen); err != nil {
			fmt.Fprintln(os.Stderr, "assayd:", redact.Text(err.Error()))
			return 1
		}
		return 0
	}
	return serve(cfg)
}

// serve runs a node. From here on nothing of the process writes to its standard
// streams but through the two sinks, which never wait for who reads them.
func serve(cfg *config.Config) int {
	logs := cfg.Log
	logs.Notice = dropNotice(cfg)
	errs := sink.New(os.Stderr, logs)
	banner := sink.New(os.Stdout, sink.Config{})
	defer func() { // also when a panic comes through here
		until := time.Now().Add(flushGrace)
		errs.Close(flushGrace)
		banner.Close(time.Until(until))
	}()
	log := logger(cfg, errs)
	slog.SetDefault(log) // what libraries print by package log, too
	ctx, stop := watchSignals(log, errs)
	defer stop()
	if err := node.Run(ctx, cfg, log, banner, dropped("log", errs), dropped("banner", banner)); err != nil {
		fmt.Fprintln(errs, "assayd:", redact.Text(err.Error()))
		return 1
	}
	return 0
}

// logger writes to standard error; standard output has the banner only.
func logger(cfg *config.Config, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: redact.Attr}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

// dropNotice makes the line about lines dropped, in the log's own form. It is a
// warning whatever --log-level says: it tells that the log is not whole.
func dropNotice(cfg *config.Config) func(uint64) []byte {
	every := *cfg
	every.LogLevel = slog.LevelDebug
	return func(lines uint64) []byte {
		var b bytes.Buffer
		logger(&every, &b).Warn(fmt.Sprintf("%d log lines dropped: who reads the log was too slow or away (--log-buffer)", lines))
		return b.Bytes()
	}
}

// dropped exports what a stream's reader did not get.
func dropped(stream string, s *sink.Sink) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name:        "assay_log_lines_dropped_total",
		Help:        "Lines that were not printed, because the reader of the stream was too slow, away, or its disk full.",
		ConstLabels: prometheus.Labels{"stream": stream},
	}, func() float64 { return float64(s.Dropped()) })
}
