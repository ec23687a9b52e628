package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// answerWithin is what every miner is promised for each request (I9).
const answerWithin = 5 * time.Second

// notBooked is what a miner reads whose share could not be recorded.
const notBooked = "The pool cannot book shares just now, share not counted"

// smallDisk is a file system of its own for --data-dir.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := shortDir(t)
	if err := syscall.Mount("assay-e2e", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes until not one more byte finds room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := 64 << 10; chunk > 0; {
		if _, err := f.Write(make([]byte, chunk)); errors.Is(err, syscall.ENOSPC) {
			chunk /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskFull fills the disk of --data-dir while a miner works. It is refused
// within the time promised and in plain words; not one share is told accepted that
// is not in the books; what is found is submitted all the same; /readyz says what
// to do. With room again all goes on without a restart.
func TestDiskFull(t *testing.T) {
	const blockEvery = 3
	m := daemontest.Start(t, daemontest.Options{Difficulty: blockEvery})
	redis := redistest.Start(t)
	s := newSite(t, assayd, 1, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ)
	s.dir = smallDisk(t, 4<<20)
	n := s.start(t)
	b := openBooks(t, redis.URL(), "default")
	before := m.Height()
	c, job := login(t, s.port, walletA+".lone")
	accepted, refused := uint64(0), 0
	// mine sends one share, and takes note of the answer.
	mine := func() (text string) {
		t.Helper()
		job = c.newest(job)
		nonce, result := c.find(job, true)
		began := time.Now()
		text = c.submit(job, nonce, result)
		if took := time.Since(began); took > answerWithin {
			t.Errorf("a share was answered after %v: %q", took, text)
		}
		switch text {
		case "":
			accepted++
		case notBooked:
			refused++
		case "Block expired":
		default:
			t.Errorf("a share was refused: %s", text)
		}
		return text
	}
	for range 3 { // what one time leaves behind must not spoil the next
		for goal := accepted + 3; accepted < goal; {
			mine()
		}
		full := filepath.Join(s.dir, "foreign")
		fill(t, full)
		n.wait("a share to be refused", func() error {
			if mine() != notBooked {
				return errors.New("it was taken")
			}
			return nil
		})
		n.waitUnready("default/journal", "(--data-dir)")
		n.waitUnready("default/journal", "the disk is full: free some space, move --data-dir, or lower --journal-max")
		taken, height := accepted, m.Height()
		n.wait("two blocks on the chain, found with a full disk", func() error {
			mine()
			if got := m.Height(); got < height+2 {
				return fmt.Errorf("%d", got-height)
			}
			return nil
		})
		if accepted != taken {
			t.Errorf("%d shares were told accepted on a full disk", accepted-taken)
		}
		if err := os.Remove(full); err != nil {
			t.Fatal(err)
		}
		n.wait("a share to be accepted again", func() error {
			if text := mine(); text != "" {
				return errors.New(text)
			}
			return nil
		})
		n.waitReady()
		n.logs("the journal is written again")
	}
	after := m.Height()
	n = s.settled(t, n, b, m.Generate)
	n.stop()
	b.within(t, []owed{{told: told{walletA, "lone", accepted, accepted}, worth: 1}})
	b.chain(t, before, after, m.BlockIDAt)
	s.audit(t)
	t.Logf("%d accepted, %d refused", accepted, refused)
}

// TestStartOnFullDisk: a node starts although the disk has no room for its journal,
// serves miners, takes no share, and goes on by itself once there is room.
func TestStartOnFullDisk(t *testing.T) {
	m, redis := startBoth(t, worth)
	s := newSite(t, assayd, worth, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ)
	s.dir = smallDisk(t, 4<<20)
	n := s.start(t)
	b := openBooks(t, redis.URL(), "default")
	before := m.Height()
	c := tireless(t, s.rig(walletA, "one"), s.rig(walletB, "two"))
	c.mine(n, 5)
	n.kill()
	full := filepath.Join(s.dir, "foreign")
	fill(t, full)
	n = s.begin(t)
	n.waitUnready("default/journal", "the disk is full")
	n.wait("shares to be refused", func() error {
		if got := c.refused(notBooked); got < 5 {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	c.mine(n, 5)
	n.waitReady()
	c.finish(notBooked, throttled)
	after := m.Height()
	n = s.settled(t, n, b, m.Generate)
	n.stop()
	b.within(t, c.owed(t, worth))
	b.chain(t, before, after, m.BlockIDAt)
	s.audit(t)
}

// TestReadOnlyDisk: a --data-dir that cannot be written is refused by name. (That
// one becomes read-only under a node that runs cannot be made here: the kernel
// refuses it while files are open for writing.)
func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	redis := redistest.Start(t)
	code, _, stderr := runOnce(t, nil, append(base(dir), "--redis", redis.URL(), "--daemon", "http://127.0.0.1:1", "--listen", "127.0.0.1:0")...)
	if code != 2 || !strings.Contains(stderr, "--data-dir "+dir) || !strings.Contains(stderr, "read-only file system") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// refused is how often all miners were refused a share with a text.
func (c *crew) refused(text string) (n uint64) {
	for _, m := range c.miners {
		n += m.Stats().ErrorTexts[text]
	}
	return n
}
