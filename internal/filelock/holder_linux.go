package filelock

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder returns the process that has locked a file, or 0. Each line of the kernel's list is like this:
//
//	1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF
func holder(f *os.File) int {
	var info unix.Stat_t
	if unix.Fstat(int(f.Fd()), &info) != nil {
		return 0
	}
	list, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer list.Close()
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(info.Dev), unix.Minor(info.Dev), info.Ino)
	for lines := bufio.NewScanner(list); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 5 && words[1] == "FLOCK" && words[5] == file {
			pid, _ := strconv.Atoi(words[4])
			return max(0, pid)
		}
	}
	return 0
}
