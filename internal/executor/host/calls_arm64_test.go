package host

// Numbers of calls that the package syscall does not have.
const (
	sysBPF          = 280
	sysUserfaultfd  = 282
	sysSetns        = 268
	sysOpenByHandle = 265
)
