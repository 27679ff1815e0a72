package api_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/needs"
	"atelier/internal/server/servertest"
)

// androidPackage is an unsigned package with the least that signing asks for: a manifest with an empty element, in Android's binary XML.
func androidPackage(t *testing.T) []byte {
	t.Helper()
	const none = 0xffffffff
	chunk := func(kind, header uint16, words ...uint32) []byte {
		b := binary.LittleEndian.AppendUint16(nil, kind)
		b = binary.LittleEndian.AppendUint16(b, header)
		b = binary.LittleEndian.AppendUint32(b, uint32(8+4*len(words)))
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return b
	}
	name := append([]byte{8, 8}, "manifest\x00\x00"...) // lengths in characters and bytes
	words := []uint32{1, 0, 0x100, 32, 0, 0}
	for i := 0; i < len(name); i += 4 {
		words = append(words, binary.LittleEndian.Uint32(name[i:]))
	}
	body := chunk(1, 28, words...)                                              // the pool of texts
	body = append(body, chunk(0x102, 16, 1, none, none, 0, 20<<16|20, 0, 0)...) // the element begins
	body = append(body, chunk(0x103, 16, 1, none, none, 0)...)                  // and ends
	manifest := binary.LittleEndian.AppendUint32([]byte{3, 0, 8, 0}, uint32(8+len(body)))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("AndroidManifest.xml")
	if err == nil {
		_, err = f.Write(append(manifest, body...))
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestAndroidSign signs packages with the real program and a key of file management.
func TestAndroidSign(t *testing.T) {
	t.Parallel()
	needs.Program(t, "apksigner")
	const password = "correct horse 'battery'"
	keys := filepath.Join(t.TempDir(), "release.jks")
	if out, err := exec.CommandContext(t.Context(), needs.Program(t, "keytool"), "-genkeypair", "-keystore", keys, "-storetype", "PKCS12", "-storepass", password,
		"-alias", "app key", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=test").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	uploadFile(t, s, s.Developer, "release.jks", string(content))
	repo := s.NewRepository("android")
	repo.Write("app.apk.base64", base64.StdEncoding.EncodeToString(androidPackage(t)))
	repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  BUILD:
    - sh: {inputs: {command: "mkdir -p 'out/a b' && base64 -d app.apk.base64 > out/one.apk && cp out/one.apk 'out/a b/-it''s.apk'"}}
    - android_sign: {inputs: {file_path: "out/**/*.apk", keystore_file: release.jks, keystore_password: "${password}", alias: app key, apksigner_commond: --verbose}}
    - sh: {inputs: {command: "apksigner verify --print-certs out/one.apk; env; ls -A .."}}
    - android_sign: {inputs: {file_path: "out/*.apk", keystore_file: release.jks, keystore_password: wrong-one, alias: app key, apksigner_commond: --verbose, ignore_fail: true}}
    - android_sign: {inputs: {file_path: "out/*.apk", keystore_file: none.jks, alias: app key, apksigner_commond: --verbose, ignore_fail: true}}
    - android_sign: {inputs: {file_path: "none/*.apk", keystore_file: release.jks, alias: app key, apksigner_commond: --verbose, ignore_fail: true}}
`)
	repo.Git("add", "--all")
	repo.Git("commit", "--quiet", "--message", "init")
	task := fromFile(s, "android", repo.URL())
	secret := parameter("password", password, "sensitiveVar", "true")
	task.Parameters = &[]model.CreateBuildJobParameter{secret}
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	text := fullLog(s, *r.BuildRecordId)
	checkStatus(t, r, "SUCCESS")
	if strings.Count(text, "Result: Signed") != 2 || !strings.Contains(text, "Signing ./out/a b/-its.apk") || strings.Contains(text, "ATELIER_KEY") || strings.Contains(text, "private0") ||
		strings.Contains(text, "battery") {
		t.Error(text)
	}
	for _, want := range []string{"CN=test", "password was incorrect", `"none.jks"`, "no file of the workspace matches the pattern none/*.apk"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not say %q:\n%s", want, text)
		}
	}
}
