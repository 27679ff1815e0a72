package build

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/google/uuid"
)

// Identifiers. Two id spaces belong to one job, so each has a type of its own and the compiler keeps them apart.
type (
	// JobID names a job: 32 lower-case hexadecimal digits.
	JobID string
	// ProjectID names a project: 32 lower-case letters or digits.
	ProjectID string
	// RecordID names one build: a UUID with hyphens. The wire calls it build_record_id.
	RecordID string
	// BuildProjectID names a job in the operations that list records: a UUID, one to one with the JobID.
	BuildProjectID string
)

const executionAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// NewHexID returns 128 random bits as 32 lower-case hexadecimal digits, the form of job, project and user ids.
func NewHexID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}

// newUUID returns a UUID that sorts by the time it was made, so that new records land at one end of the index.
func newUUID() string {
	return uuid.Must(uuid.NewV7()).String()
}

// newExecutionID returns the id of a run as clients know it: j_ and 8 letters or digits.
func newExecutionID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	for i := range b {
		b[i] = executionAlphabet[int(b[i])%len(executionAlphabet)]
	}
	return "j_" + string(b[:])
}
