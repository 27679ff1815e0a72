//go:build !linux

package cache

func syncFiles(dir string) error { return nil }
