package iam

import (
	"errors"
	"strings"
	"testing"
)

func TestPasswordHashes(t *testing.T) {
	t.Parallel()
	hash, err := HashForTest("correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q, %v", hash, err)
	}
	// Made by another implementation, with other parameters.
	const foreign = "$argon2id$v=19$m=256,t=3,p=2$c29tZXNhbHRzb21l$F0NXwV55CiginK9Hqaa2hlMVl0Rk8f0l"
	for _, tt := range []struct {
		stored, password string
		want             bool
	}{
		{hash, "correct horse", true},
		{hash, "Correct horse", false},
		{hash, "", false},
		{hash, "correct horse\x00", false},
		{foreign, "correct horse", true},
		{foreign, "Correct horse", false},
		{noPassword, "", false},
		{noPassword, "x", false},
		{noPassword, strings.Repeat("x", 1<<20), false},
	} {
		if got, err := comparePassword(tt.stored, tt.password); err != nil || got != tt.want {
			t.Errorf("comparePassword(%.40q, %.20q) = %v, %v", tt.stored, tt.password, got, err)
		}
	}
	for _, stored := range []string{
		"", "plain", "$argon2i$v=19$m=256,t=3,p=2$c2FsdA$aGFzaA", "$argon2id$v=16$m=256,t=3,p=2$c2FsdA$aGFzaA", foreign + "!", strings.TrimSuffix(foreign, "F0NXwV55CiginK9Hqaa2hlMVl0Rk8f0l"),
		"$argon2id$v=19$m=256,t=0,p=2$c2FsdA$aGFzaA", "$argon2id$v=19$m=256,t=3,p=0$c2FsdA$aGFzaA", "$argon2id$v=19$m=x,t=3,p=2$c2FsdA$aGFzaA",
		"$argon2id$v=19$m=256,t=3,p=2$!$aGFzaA",
	} {
		if same, err := comparePassword(stored, "x"); same || !errors.Is(err, errStoredHash) {
			t.Errorf("%q: %v, %v", stored, same, err)
		}
	}
}
