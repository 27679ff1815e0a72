package supervisor

import (
	"syscall"
	"unsafe"
)

// keyringCalls are where the system calls add_key, request_key and keyctl are: they have numbers that follow one another, on each kind of
// processor and in each mode of it. The kinds are those of linux/audit.h.
var keyringCalls = [...]struct{ kind, first uint32 }{
	{0xc000003e, 248},         // x86-64
	{0xc000003e, 248 | 1<<30}, // x86-64 with addresses of 32 bits
	{0x40000003, 286},         // i386, which x86-64 runs too
	{0xc00000b7, 217},         // arm64
	{0x40000028, 309},         // arm, which arm64 runs too
}

// denyKeyrings makes those calls fail, in what this thread starts from now on, as they do in a kernel that has none. The kernel keeps a
// user's keyring, for instance with tickets of Kerberos, when the last process of that user has ended: the next build with the same user would find
// there what this one has left. Where the kernel cannot filter calls, which hardly occurs, it stays so.
func denyKeyrings() {
	const (
		load      = syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS
		equal     = syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K
		atLeast   = syscall.BPF_JMP | syscall.BPF_JGE | syscall.BPF_K
		more      = syscall.BPF_JMP | syscall.BPF_JGT | syscall.BPF_K
		answer    = syscall.BPF_RET | syscall.BPF_K
		number    = 0 // where seccomp_data has it
		processor = 4
		allow     = 0x7fff0000
		fail      = 0x00050000 // with the errno in the lower half
	)
	var program []syscall.SockFilter
	for _, c := range keyringCalls {
		program = append(program,
			syscall.SockFilter{Code: load, K: processor},
			syscall.SockFilter{Code: equal, K: c.kind, Jf: 4},
			syscall.SockFilter{Code: load, K: number},
			syscall.SockFilter{Code: atLeast, K: c.first, Jf: 2},
			syscall.SockFilter{Code: more, K: c.first + 2, Jt: 1},
			syscall.SockFilter{Code: answer, K: fail | uint32(syscall.ENOSYS)},
		)
	}
	program = append(program, syscall.SockFilter{Code: answer, K: allow})
	filter := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const setSeccomp, modeFilter = 22, 2
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setSeccomp, modeFilter, uintptr(unsafe.Pointer(&filter)))
}
