package iam

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost of a new password hash. A hash says what it cost, so these may change without a word to those that exist.
const (
	hashTime    = 2
	hashMemory  = 19 << 10 // KiB
	hashThreads = 1
	saltSize    = 16
	hashSize    = 32
)

// hashingSlots is how many passwords are hashed at a time. Each takes hashMemory, so that more than these would let a crowd of
// strangers use up the machine; they wait in a [hashQueue] instead.
func hashingSlots() int { return min(runtime.GOMAXPROCS(0), 4) }

// noPassword is the hash that takes the place of one that does not exist, so that finding nothing takes as long as finding a
// wrong password. No password has it.
var noPassword = encodeHash(hashTime, hashMemory, hashThreads, make([]byte, saltSize), make([]byte, hashSize))

// encodeHash writes a hash with its parameters in the usual form of argon2.
func encodeHash(time, memory uint32, threads uint8, salt, hash []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, time, threads, b64(salt), b64(hash))
}

// hashPassword returns what is stored of a password.
func (s *Service) hashPassword(ctx context.Context, password string) (string, error) {
	release, err := s.hashing.take(ctx, knownLane, "", "")
	if err != nil {
		return "", err
	}
	defer release()
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return encodeHash(hashTime, hashMemory, hashThreads, salt,
		argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashSize)), nil
}

// comparePassword reports whether a password has the stored hash. The caller holds a place of the queue.
func comparePassword(stored, password string) (bool, error) {
	var version int
	var time, memory uint32
	var threads uint8
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errStoredHash
	}
	n, _ := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &threads)
	if n != 4 || version != argon2.Version || time < 1 || threads < 1 {
		return false, errStoredHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, errStoredHash
	}
	hash, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(hash) == 0 {
		return false, errStoredHash
	}
	if len(password) > maxPasswordBytes {
		password = "" // which nobody has; hashing a huge one would only cost time
	}
	given := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(hash)))
	return subtle.ConstantTimeCompare(given, hash) == 1, nil
}

// errStoredHash does not quote the hash.
var errStoredHash = errors.New("a stored password hash cannot be read")
