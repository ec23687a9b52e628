package server

import (
	"strings"
	"testing"
	"time"
)

// TestLinesWithMarksAndBlanks: a byte order mark, blank lines and blanks around
// a line cost nobody its session, however they are cut into segments.
func TestLinesWithMarksAndBlanks(t *testing.T) {
	const mark = "\xef\xbb\xbf"
	r := newRig(t, nil)
	r.offer(false)
	for name, before := range map[string]string{
		"mark": mark, "blank lines": "\n\r\n \t\r\n\n", "mark on a line of its own": mark + "\r\n", "all": "\r\n " + mark + "\n\n" + mark + " ",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial()
			login := before + `{"id":1,"method":"login","params":{"login":"` + r.recorded.Addresses[0].Address + `"}}` + " \r\n"
			for i := range len(before) + 1 {
				c.write([]byte(login[i : i+1]))
			}
			c.write([]byte(login[len(before)+1:]))
			if a := c.answer(); a.Result == nil {
				t.Fatalf("login: %s", a.line)
			}
			c.send(before+`{"id":2,"method":"keepalived"}`+"%s", " ")
			if a := c.answer(); a.Result == nil || string(a.ID) != "2" {
				t.Fatalf("keepalived: %s", a.line)
			}
		})
	}
	t.Run("half a mark", func(t *testing.T) {
		c := r.dial()
		c.write([]byte(mark[:2] + "x\n"))
		c.refused("Parse error: not a JSON object on one line")
		c.closed()
	})
	t.Run("HTTP after a blank line", func(t *testing.T) {
		c := r.dial()
		c.write([]byte("\r\nGET / HTTP/1.1\r\n\r\n"))
		if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Fatalf("%q, %v", line, err)
		}
	})
}

// TestRigsOfEveryScript: what miners call their rigs reaches the books, and
// two rigs are two, whatever else their logins say.
func TestRigsOfEveryScript(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	address := r.recorded.Addresses[0].Address
	for login, want := range map[string]string{
		`"login":"` + address + `.ферма"`:                                                        "ферма",
		`"login":"` + address + `.фарма+10000"`:                                                  "фарма",
		`"login":"` + address + `","rigid":7`:                                                    "7",
		`"login":"` + address + `","pass":1234`:                                                  "1234",
		`"login":"` + address + `.\u77ff\u673a"`:                                                 "矿机",
		`"login":"` + address + `","pass":"e\u0301:a@b.c"`:                                       "é",
		`"login":"` + address + `.a","agent":"` + strings.Repeat("x", 400) + `"`:                 "a",
		`"login":"` + address + `.b","algo":[` + strings.Repeat(`"cn/unknown",`, 80) + `"rx/0"]`: "b",
		`"login":"` + address + `.c","algo":"rx/0"`:                                              "c",
	} {
		c := r.dial()
		c.send(`{"id":1,"method":"login","params":{%s}}`, login)
		a := c.answer()
		if a.Result == nil {
			t.Fatalf("login %s: %s", login, a.line)
		}
		c.id, c.job = a.Result.ID, a.Result.Job
		c.submit(1, 10_000)
		c.accepted()
		r.books.mu.Lock()
		if got := r.books.credited[address+"."+want]; got != 10_000 {
			t.Errorf("login %s: %q has %d of %v", login, want, got, r.books.credited)
		}
		r.books.mu.Unlock()
	}
	r.balanced()
}

// TestBlankFlood: blank lines and marks from somebody who has not said a word
// cost a loop no more than reading them.
func TestBlankFlood(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	for name, blank := range map[string]string{"line feeds": "\n", "marks": "\xef\xbb\xbf\n", "spaces": " \n"} {
		t.Run(name, func(t *testing.T) {
			c := r.dial()
			start := time.Now()
			c.write([]byte(strings.Repeat(blank, 1<<20/len(blank))))
			c.send(`{"id":1,"method":"login","params":{"login":"%s"}}`, r.recorded.Addresses[0].Address)
			if a := c.answer(); a.Result == nil {
				t.Fatalf("login: %s", a.line)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("a MiB of blanks took the loop %s", took)
			}
		})
	}
}
