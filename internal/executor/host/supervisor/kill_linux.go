package supervisor

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// terminate asks every process of the command to end, parents before their children: a shell whose child ended first would
// go on to the next line of its script.
func (s *supervisor) terminate() {
	s.reaping.Lock()
	defer s.reaping.Unlock()
	if !s.running {
		return
	}
	s.stopping = true
	for _, pid := range descendants(nil, os.Getpid()) {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

// killCurrent ends the command that runs, if there is one.
func (s *supervisor) killCurrent() {
	s.reaping.Lock()
	running, ended := s.running, s.ended
	s.reaping.Unlock()
	if running {
		s.kill(ended)
	}
}

// kill ends a command and all that came of it, and returns when they are gone. The command is known by the channel that says that it has
// ended, since another one may run by now. A process that forks faster than it can be found is caught by its group, which the kernel
// signals in one go; one that changes its group each time is orphaned by the death of its parent and found among the supervisor's own
// children. So rounds follow one another without pause as long as each finds a new process.
func (s *supervisor) kill(ended chan struct{}) {
	var last []int
	for pause := time.Duration(0); ; {
		select {
		case <-ended:
			return
		case <-time.After(pause):
		}
		found := s.killOnce(ended)
		if pause = 0; slices.Equal(found, last) {
			pause = time.Millisecond // nothing to do but to wait for the kernel
		}
		last = found
	}
}

// killOnce is one round of kill. It returns the processes that it found.
func (s *supervisor) killOnce(ended chan struct{}) []int {
	s.reaping.Lock()
	defer s.reaping.Unlock()
	if s.ended != ended {
		return nil // another command runs by now
	}
	found := descendants(nil, os.Getpid())
	if s.sandboxed { // in a namespace of its own, in which there is nobody else: the kernel ends all at once, and no fork escapes
		_ = syscall.Kill(-1, syscall.SIGKILL)
		return found
	}
	own := syscall.Getpgrp()
	for _, pid := range found {
		if group, err := syscall.Getpgid(pid); err == nil && group != own {
			_ = syscall.Kill(-group, syscall.SIGKILL)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return found
}

// descendants appends to list the process ids of all that came of parent and are there at this moment, parents first.
func descendants(list []int, parent int) []int {
	tasks := "/proc/" + strconv.Itoa(parent) + "/task"
	threads, _ := os.ReadDir(tasks) // a process that ended meanwhile has no children
	for _, thread := range threads {
		text, _ := os.ReadFile(tasks + "/" + thread.Name() + "/children")
		for _, pid := range numbers(text) {
			list = descendants(append(list, pid), pid)
		}
	}
	return list
}

// numbers returns the decimal numbers in text. The package strings is not used: its tables would be initialised first.
func numbers(text []byte) []int {
	var list []int
	n, inside := 0, false
	for _, b := range append(text, ' ') {
		switch {
		case '0' <= b && b <= '9':
			n, inside = n*10+int(b-'0'), true
		case inside:
			list = append(list, n)
			n, inside = 0, false
		}
	}
	return list
}
