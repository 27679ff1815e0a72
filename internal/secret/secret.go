// Package secret keeps what must not be stored in plain text: it seals a value before it goes to the database and opens it when
// it comes back. The key lies in a file of its own, so a copy of the database alone gives nothing away.
package secret

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"atelier/internal/fault"
)

// Prefix begins every sealed text, so that it is recognised wherever it turns up.
const Prefix = "sealed:1:"

// maxKeyFile is far more than a key set has, and little enough to read when somebody names the wrong file.
const maxKeyFile = 1 << 20

// Sealer seals and opens values with the keys of one file. It may be used by many goroutines at once.
type Sealer struct{ aead tink.AEAD }

// Open reads the key set in the file at path; where there is no file it makes one with a new key. Several processes may do so
// at the same time: they all end up with the same key. A file that others may read, or that holds no key set, is an error.
func Open(path string) (*Sealer, error) {
	s, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err := create(path); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the key file %s cannot be made", path)
	}
	return read(path)
}

func read(path string) (*Sealer, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the key file %s cannot be read", path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the key file %s cannot be read", path)
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, fault.New(fault.Invalid, "the key file %s is no regular file", path)
	case mode.Perm()&0o077 != 0:
		return nil, fault.New(fault.Invalid, "the key file %s has mode %04o, so others may read it; allowed is 0600 or less", path, mode.Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the key file %s cannot be read", path)
	}
	s, ok := parse(text)
	if !ok {
		// What exactly is wrong stays unsaid: the parser's words quote the file.
		return nil, fault.New(fault.Invalid, "the key file %s is damaged, or holds something else; restore it from a backup", path)
	}
	return s, nil
}

func parse(text []byte) (*Sealer, bool) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, false
	}
	primitive, err := aead.New(handle)
	return &Sealer{primitive}, err == nil
}

// create makes the file with a new key. The file appears complete or not at all, and one that is there by then is left alone.
func create(path string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(f)), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	// A link, unlike a rename, fails when another process was quicker.
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in a directory survive a power cut: without its key everything that was sealed is lost.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal encrypts a text. The same text gives another result every time.
func (s *Sealer) Seal(plain string) (string, error) {
	sealed, err := s.aead.Encrypt([]byte(plain), nil)
	if err != nil {
		return "", fmt.Errorf("seal a secret: %w", err)
	}
	return Prefix + base64.RawStdEncoding.EncodeToString(sealed), nil
}

// errSealed says neither what the text was nor where it went wrong.
var errSealed = errors.New("a sealed text cannot be opened: it is damaged, or was sealed with a key that is not in the key file")

// Open decrypts what [Sealer.Seal] made.
func (s *Sealer) Open(sealed string) (string, error) {
	text, ok := strings.CutPrefix(sealed, Prefix)
	if !ok {
		return "", errSealed
	}
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", errSealed
	}
	plain, err := s.aead.Decrypt(data, nil)
	if err != nil {
		return "", errSealed
	}
	return string(plain), nil
}
