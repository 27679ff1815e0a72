package host

// Numbers of calls that the package syscall does not have.
const (
	sysBPF          = 321
	sysUserfaultfd  = 323
	sysSetns        = 308
	sysOpenByHandle = 304
)
