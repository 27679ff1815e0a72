package crash_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Tests whose names begin with TestSoak have two sizes. In a run of all tests they are short. In `make soak` they are long, and take
// what they do from a seed that is printed and that can be set: `make soak SEED=7`. What they log with a line that begins with
// "soak:" are the figures that docs/soak.md keeps of the last run.
//
// To add one, write a test of that name that calls t.Parallel and then soak: its rounds decide how often it does its damage, its
// random what, when and to what. Nothing else has to be told of it.

// soakVariable is set to the seed in a long run. Empty stands for a short one.
const soakVariable = "ATELIER_SOAK_SEED"

// size is how much a test does.
type size struct {
	long   bool
	random *rand.Rand // differs with the test; it is for one goroutine
}

// soakSeed is the seed of this run; the short one has always the same.
var soakSeed = sync.OnceValues(func() (seed uint64, err error) {
	if text := os.Getenv(soakVariable); text != "" {
		return strconv.ParseUint(text, 10, 64)
	}
	return 1, nil
})

// soak returns the size of a test.
func soak(t *testing.T) size {
	t.Helper()
	seed, err := soakSeed()
	if err != nil {
		t.Fatalf("%s must be a number from 0 on: %v", soakVariable, err)
	}
	t.Logf("soak: %s: seed %d", t.Name(), seed)
	var name uint64
	for _, c := range []byte(t.Name()) {
		name = name*31 + uint64(c)
	}
	return size{long: os.Getenv(soakVariable) != "", random: rand.New(rand.NewPCG(seed, name))}
}
