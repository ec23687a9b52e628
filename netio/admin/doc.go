// Package admin is the operator's HTTP server: metrics, health, readiness and profiles.
//
//	scraper, balancer, operator ─▶ Host check ─▶ /metrics   Prometheus text of Config.Gatherer
//	                                             /healthz   200 while the process serves
//	                                             /readyz    200, or 503 with a JSON line a check
//	                                             /debug/pprof/…
//	                                             /          what there is
//
// It listens on loopback and refuses anything else unless Config.AllowRemote says otherwise: pprof
// and metrics tell much about a pool. A browser on the same machine can be made to send requests
// to loopback by a web page whose name resolves there (DNS rebinding), so the Host header must
// name the address itself, localhost, or one of Config.AllowHosts.
package admin
