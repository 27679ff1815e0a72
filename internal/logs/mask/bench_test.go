package mask_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"atelier/internal/logs/mask"
)

func randomText(r *rand.Rand, n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func randomTexts(r *rand.Rand, count, size int) []string {
	texts := make([]string, count)
	for i := range texts {
		texts[i] = randomText(r, size, letters)
	}
	return texts
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"

func BenchmarkWriter(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	lines := strings.Repeat("npm http fetch GET 200 https://registry.example.com/left-pad/-/left-pad-1.3.0.tgz 312ms (cache miss)\n", 700)
	texts := map[string]string{
		"text":    lines[:64<<10],
		"base64":  randomText(r, 64<<10, letters),
		"letters": strings.Repeat("a", 64<<10),
		"wrapped": strings.Repeat(strings.Repeat("YWFh", 19)+"\n", 900)[:64<<10],
	}
	for _, secrets := range []struct {
		name  string
		known []string
	}{
		{"no secret", nil},
		{"1 secret", []string{strings.Repeat("a", 24) + "b"}}, // the worst for the text of one letter
		{"2 alike", []string{strings.Repeat("a", 8000) + "b", strings.Repeat("a", 7000)}},
		{"20 secrets", randomTexts(r, 20, 24)},
		{"20 short secrets", randomTexts(r, 20, 6)},
	} {
		m := mask.New(secrets.known)
		for _, name := range []string{"text", "base64", "letters", "wrapped"} {
			b.Run(secrets.name+"/"+name, func(b *testing.B) {
				data := []byte(texts[name])
				w := m.Writer(io.Discard)
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if _, err := w.Write(data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{24, 1 << 10, 8 << 10} {
		secret := randomText(r, size, letters)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mask.New([]string{secret})
			}
		})
	}
}
