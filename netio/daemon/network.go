package daemon

// networkAnswer is what get_info tells of the network. monerod sends nettype since 0.12, and a flag
// for each network; forks of older ones have fewer fields or none.
type networkAnswer struct {
	NetType  string `json:"nettype"`
	Mainnet  *bool  `json:"mainnet"`
	Testnet  *bool  `json:"testnet"`
	Stagenet *bool  `json:"stagenet"`
}

// fakechain is monerod's word for --regtest.
const fakechain = "fakechain"

// network is the name coins have for the daemon's network, "" when the answer does not tell. A word
// that is none of monerod's tells nothing: a fork may call its main network as it likes.
func (a *networkAnswer) network() string {
	yes := func(flag *bool) bool { return flag != nil && *flag }
	switch {
	case a.NetType == fakechain:
		return "regtest"
	case a.NetType == "mainnet" || a.NetType == "testnet" || a.NetType == "stagenet":
		return a.NetType
	case a.NetType != "":
		return ""
	case yes(a.Testnet):
		return "testnet"
	case yes(a.Stagenet):
		return "stagenet"
	case yes(a.Mainnet):
		return "mainnet"
	case a.Mainnet != nil && a.Testnet != nil && a.Stagenet != nil:
		return "regtest" // which is none of the three
	}
	return ""
}

// checkNetwork refuses a daemon that says it is on another network than the coin. Its chain could
// have any height and any seed, and our miners' work would be worth nothing.
func (c *Config) checkNetwork(network string) *Error {
	if c.Network == "" || network == "" || network == c.Network {
		return nil
	}
	return fault(KindNetwork, "it is on %s, and --coin %s is on %s; correct --coin or --daemon", network, c.Coin, c.Network)
}
