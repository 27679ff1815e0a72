//go:build !linux

package ext4

// Spread does nothing.
func Spread(string) {}
