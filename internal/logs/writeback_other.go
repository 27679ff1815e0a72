//go:build !linux

package logs

import "os"

func startWriteback(*os.File, int64, int64) {}
