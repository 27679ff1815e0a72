package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"atelier/internal/iam/signature"
)

// The commands of this file send requests to the server at $URL. It is trusted by the certificate in the file $CERT.

func httpClient(ts *testscript.TestScript) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	if file := ts.Getenv("CERT"); file != "" {
		pem, err := os.ReadFile(ts.MkAbs(file))
		ts.Check(err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &http.Client{Timeout: patience, Transport: transport}
}

// noticing is how long a server may take to see what another process has changed: ten times what it is meant to take.
const noticing = 10 * time.Second

// until sends requests until the status is the wanted one, because what the administration commands change counts in a moment. It
// returns the body.
func until(ts *testscript.TestScript, status string, make func() *http.Request) string {
	want, err := strconv.Atoi(status)
	ts.Check(err)
	client := httpClient(ts)
	for late := time.Now().Add(noticing); ; time.Sleep(20 * time.Millisecond) { // there is no event to wait for: another process has to notice
		response, err := client.Do(make())
		ts.Check(err)
		body, err := io.ReadAll(response.Body)
		ts.Check(err)
		ts.Check(response.Body.Close())
		if response.StatusCode == want {
			return string(body)
		}
		if time.Now().After(late) {
			ts.Fatalf("status is %d, want %d: %s", response.StatusCode, want, body)
		}
	}
}

// callAPI is the command call STATUS METHOD PATH [BODY]: it sends a request that is signed with the key $HUAWEICLOUD_SDK_AK and
// prints the answer.
func callAPI(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && (len(args) == 3 || len(args) == 4), "call STATUS METHOD PATH [BODY]")
	body := strings.Join(args[3:], "")
	key := signature.Key{Access: ts.Getenv("HUAWEICLOUD_SDK_AK"), Secret: ts.Getenv("HUAWEICLOUD_SDK_SK")}
	answer := until(ts, args[0], func() *http.Request {
		r, err := http.NewRequest(args[1], ts.Getenv("URL")+args[2], strings.NewReader(body))
		ts.Check(err)
		r.Header.Set("Content-Type", "application/json")
		signature.Sign(r, []byte(body), key, time.Now())
		return r
	})
	fmt.Fprintln(ts.Stdout(), answer)
}

// signIn is the command signin STATUS USER PASSWORD: it asks for a token of the region and the domain that a server has by default.
func signIn(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "signin STATUS USER PASSWORD")
	body := fmt.Appendf(nil, `{"auth": {
		"identity": {"methods": ["password"], "password": {"user": {"name": %q, "password": %q, "domain": {"name": "atelier"}}}},
		"scope": {"project": {"name": "cn-north-4"}}}}`, args[1], args[2])
	until(ts, args[0], func() *http.Request {
		r, err := http.NewRequest(http.MethodPost, ts.Getenv("URL")+"/v3/auth/tokens", bytes.NewReader(body))
		ts.Check(err)
		return r
	})
}

// checkJSON is the command json FILE [PATH VALUE]...: the file is one JSON value, and at each path, keys with points between them,
// is that value. FILE may be stdout.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args)%2 == 1, "json FILE [PATH VALUE]...")
	var whole any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &whole); err != nil {
		ts.Fatalf("%s is not one JSON value: %v", args[0], err)
	}
	for i := 1; i < len(args); i += 2 {
		value := whole
		for key := range strings.SplitSeq(args[i], ".") {
			object, _ := value.(map[string]any)
			value = object[key]
		}
		var want any = args[i+1]
		if err := json.Unmarshal([]byte(args[i+1]), &want); err != nil {
			want = args[i+1] // a string need not be quoted
		}
		if !reflect.DeepEqual(value, want) {
			ts.Fatalf("%s: %s is %v, want %v", args[0], args[i], value, want)
		}
	}
}
