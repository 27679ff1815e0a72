package supervisor

import (
	"syscall"
	"unsafe"
)

// none is the number of a call that a kind of processor does not have.
const none = -1

// call is a system call that no command in a sandbox makes, with its numbers.
type call struct {
	name  string
	errno syscall.Errno

	x86, i386, generic, arm int // generic is of arm64, riscv64 and loong64
}

// deniedCalls reach parts of the kernel that builds do not need and in which faults were found, or what is the whole machine's. ENOSYS says that
// there is no such call: libraries then do without. What is EPERM would be without the filter too, for lack of privileges, on most machines.
var deniedCalls = [...]call{
	// The kernel keeps a user's keyring when its last process has ended: the next build with the same user would find there what this one has left.
	{"add_key", syscall.ENOSYS, 248, 286, 217, 309},
	{"request_key", syscall.ENOSYS, 249, 287, 218, 310},
	{"keyctl", syscall.ENOSYS, 250, 288, 219, 311},

	{"io_uring_setup", syscall.ENOSYS, 425, 425, 425, 425},
	{"io_uring_enter", syscall.ENOSYS, 426, 426, 426, 426},
	{"io_uring_register", syscall.ENOSYS, 427, 427, 427, 427},
	{"perf_event_open", syscall.ENOSYS, 298, 336, 241, 364},
	{"bpf", syscall.ENOSYS, 321, 357, 280, 386},
	{"userfaultfd", syscall.ENOSYS, 323, 374, 282, 388},
	{"fanotify_init", syscall.ENOSYS, 300, 338, 262, 367},
	{"lookup_dcookie", syscall.ENOSYS, 212, 253, 18, 345},
	{"clone3", syscall.ENOSYS, 435, 435, 435, 435}, // its flags are where no filter can see them; libraries go on with clone

	{"setns", syscall.EPERM, 308, 346, 268, 375},
	{"mount", syscall.EPERM, 165, 21, 40, 21},
	{"umount", syscall.EPERM, none, 22, none, none},
	{"umount2", syscall.EPERM, 166, 52, 39, 52},
	{"pivot_root", syscall.EPERM, 155, 217, 41, 218},
	{"chroot", syscall.EPERM, 161, 61, 51, 61},
	{"open_tree", syscall.EPERM, 428, 428, 428, 428},
	{"move_mount", syscall.EPERM, 429, 429, 429, 429},
	{"fsopen", syscall.EPERM, 430, 430, 430, 430},
	{"fsconfig", syscall.EPERM, 431, 431, 431, 431},
	{"fsmount", syscall.EPERM, 432, 432, 432, 432},
	{"fspick", syscall.EPERM, 433, 433, 433, 433},
	{"mount_setattr", syscall.EPERM, 442, 442, 442, 442},
	{"open_tree_attr", syscall.EPERM, 467, 467, 467, 467},
	{"open_by_handle_at", syscall.EPERM, 304, 342, 265, 371},

	{"kexec_load", syscall.EPERM, 246, 283, 104, 347},
	{"kexec_file_load", syscall.EPERM, 320, none, 294, 401},
	{"init_module", syscall.EPERM, 175, 128, 105, 128},
	{"finit_module", syscall.EPERM, 313, 350, 273, 379},
	{"delete_module", syscall.EPERM, 176, 129, 106, 129},
	{"swapon", syscall.EPERM, 167, 87, 224, 87},
	{"swapoff", syscall.EPERM, 168, 115, 225, 115},
	{"reboot", syscall.EPERM, 169, 88, 142, 88},
	{"acct", syscall.EPERM, 163, 51, 89, 51},
	{"quotactl", syscall.EPERM, 179, 131, 60, 131},
	{"quotactl_fd", syscall.EPERM, 443, 443, 443, 443},
	{"syslog", syscall.EPERM, 103, 103, 116, 103},
	{"vhangup", syscall.EPERM, 153, 111, 58, 111},
	{"nfsservctl", syscall.ENOSYS, 180, 169, 42, 169},
	{"iopl", syscall.EPERM, 172, 110, none, none},
	{"ioperm", syscall.EPERM, 173, 101, none, none},
	{"settimeofday", syscall.EPERM, 164, 79, 170, 79},
	{"clock_settime", syscall.EPERM, 227, 264, 112, 262},
	{"clock_settime64", syscall.EPERM, none, 404, none, 404},
	{"stime", syscall.EPERM, none, 25, none, none},
}

// namespaceCalls make user namespaces, in which their caller has all privileges, if their first argument says so.
var namespaceCalls = [...]call{
	{"clone", syscall.EPERM, 56, 120, 220, 120},
	{"unshare", syscall.EPERM, 272, 310, 97, 337},
}

// processor is a kind of processor and a mode of it, as in linux/audit.h. Each has numbers of its own for the calls.
type processor struct {
	kind   uint32
	number func(call) int
}

var processors = [...]processor{
	{0xc000003e, func(c call) int { return c.x86 }},
	{0x40000003, func(c call) int { return c.i386 }},    // which x86-64 runs too
	{0xc00000b7, func(c call) int { return c.generic }}, // arm64
	{0x40000028, func(c call) int { return c.arm }},     // which arm64 runs too
	{0xc00000f3, func(c call) int { return c.generic }}, // riscv64
	{0xc0000102, func(c call) int { return c.generic }}, // loong64
}

// What the filter's program is made of.
const (
	load         = syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS
	jump         = syscall.BPF_JMP | syscall.BPF_JA
	equal        = syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K
	atLeast      = syscall.BPF_JMP | syscall.BPF_JGE | syscall.BPF_K
	has          = syscall.BPF_JMP | syscall.BPF_JSET | syscall.BPF_K
	answer       = syscall.BPF_RET | syscall.BPF_K
	theNumber    = 0 // where the kernel has what a call is
	theProcessor = 4
	theArgument  = 16 // the lower half of the first

	allowed          = 0x7fff0000
	refused          = 0x00050000 // with the errno in the lower half
	newUserNamespace = 0x10000000
	shortAddresses   = 1 << 30 // in the numbers of x86-64 with addresses of 32 bits, which nothing uses
)

// filter returns the program of the filter. A kind of processor that is not known gets no call at all.
func filter() (program []syscall.SockFilter) {
	for _, p := range processors {
		rules := rulesOf(p)
		program = append(program,
			syscall.SockFilter{Code: load, K: theProcessor},
			syscall.SockFilter{Code: equal, K: p.kind, Jt: 1},
			syscall.SockFilter{Code: jump, K: uint32(len(rules))},
		)
		program = append(program, rules...)
	}
	return append(program, syscall.SockFilter{Code: answer, K: refused | uint32(syscall.ENOSYS)})
}

// rulesOf returns the part of the program for one kind of processor.
func rulesOf(p processor) []syscall.SockFilter {
	rules := []syscall.SockFilter{
		{Code: load, K: theNumber},
		{Code: atLeast, K: shortAddresses, Jf: 1},
		{Code: answer, K: refused | uint32(syscall.ENOSYS)},
	}
	for _, c := range deniedCalls {
		if n := p.number(c); n != none {
			rules = append(rules,
				syscall.SockFilter{Code: equal, K: uint32(n), Jf: 1},
				syscall.SockFilter{Code: answer, K: refused | uint32(c.errno)},
			)
		}
	}
	for _, c := range namespaceCalls {
		rules = append(rules,
			syscall.SockFilter{Code: equal, K: uint32(p.number(c)), Jf: 4},
			syscall.SockFilter{Code: load, K: theArgument},
			syscall.SockFilter{Code: has, K: newUserNamespace, Jf: 1},
			syscall.SockFilter{Code: answer, K: refused | uint32(c.errno)},
			syscall.SockFilter{Code: answer, K: allowed},
		)
	}
	return append(rules, syscall.SockFilter{Code: answer, K: allowed})
}

// denyCalls makes the calls fail in what this thread starts from now on.
func denyCalls() error {
	program := filter()
	sock := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const setSeccomp, modeFilter = 22, 2
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setSeccomp, modeFilter, uintptr(unsafe.Pointer(&sock))); errno != 0 {
		return errno
	}
	return nil
}
