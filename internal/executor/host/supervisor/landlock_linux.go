package supervisor

import (
	"syscall"
	"unsafe"
)

// The calls of Landlock, which have these numbers on every kind of processor.
const (
	landlockCreateRuleset = 444
	landlockAddRule       = 445
	landlockRestrictSelf  = 446
)

// What Landlock calls ABI is a number that grows with what it can do.
const (
	abiRename = 2 // and links between directories, which an older one forbids altogether
	abiScopes = 6
)

// LandlockABI returns what the kernel has of Landlock; 0 for nothing.
func LandlockABI() int {
	const version = 1
	abi, _, errno := syscall.RawSyscall(landlockCreateRuleset, 0, 0, version)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// HasScopes reports whether Landlock keeps commands from sockets with abstract names and from processes outside of their sandbox.
func HasScopes(abi int) bool { return abi >= abiScopes }

// What can be done with files, as Landlock numbers it.
const (
	execute = 1 << iota
	writeFile
	readFile
	readDir
	removeDir
	removeFile
	makeChar
	makeDir
	makeReg
	makeSock
	makeFifo
	makeBlock
	makeSym
	refer
	truncate
	ioctlDev
)

const (
	toRead  = execute | readFile | readDir
	toWrite = writeFile | removeDir | removeFile | makeDir | makeReg | makeSock | makeFifo | makeSym | refer | truncate
)

// handled returns all that an ABI knows.
func handled(abi int) uint64 {
	all := uint64(refer<<1 - 1)
	if abi >= 3 {
		all |= truncate
	}
	if abi >= 5 {
		all |= ioctlDev
	}
	return all
}

// newRuleset returns what commands in this sandbox may do: read all that is in it, which is a file system of its own; write to the build's
// directory and to places for temporary files; use devices. Whatever other file a command gets hold of, such as by a handle of another
// sandbox's root, is outside. It is -1 where the kernel has no Landlock that allows that much.
func newRuleset() int {
	abi := LandlockABI()
	if abi < abiRename {
		return -1
	}
	files := handled(abi)
	attributes := struct{ files, net, scopes uint64 }{files: files}
	size := unsafe.Sizeof(files)
	if abi >= abiScopes {
		const abstractSockets, signals = 1, 2
		attributes.scopes, size = abstractSockets|signals, unsafe.Sizeof(attributes)
	}
	ruleset, _, errno := syscall.RawSyscall(landlockCreateRuleset, uintptr(unsafe.Pointer(&attributes)), size, 0)
	if errno != 0 {
		return -1
	}
	syscall.CloseOnExec(int(ruleset))
	allow(int(ruleset), "/", toRead&files)
	for _, dir := range append(Scratch[:], BuildDir) {
		allow(int(ruleset), dir, toWrite&files)
	}
	allow(int(ruleset), "/dev", (writeFile|truncate|ioctlDev)&files)
	allow(int(ruleset), "/proc", (writeFile|truncate)&files)
	return int(ruleset)
}

// allow adds a rule for what is below a directory. One that cannot be added allows nothing.
func allow(ruleset int, dir string, access uint64) {
	const oPath = 0x200000
	fd, err := syscall.Open(dir, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = syscall.Close(fd) }()
	rule := struct { // packed in the kernel: the twelve bytes that these have
		access uint64
		parent int32
	}{access, int32(fd)}
	const pathBeneath = 1
	_, _, _ = syscall.RawSyscall6(landlockAddRule, uintptr(ruleset), pathBeneath, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
}

// enforce holds this thread and all that it starts to a ruleset, if there is one.
func enforce(ruleset int) error {
	if ruleset < 0 {
		return nil
	}
	if _, _, errno := syscall.RawSyscall(landlockRestrictSelf, uintptr(ruleset), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
