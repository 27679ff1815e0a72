//go:build !linux

package logs

import (
	"os"
)

// giveName gives a file another name, which no file has yet.
func giveName(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}
