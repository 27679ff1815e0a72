package conformance_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
)

// sdkFile tells the explorer what the types of the SDK's requests are called, to write programs with them.
const sdkFile = "../../internal/console/page/sdk.json"

// sdkTable is what it says: the type of each operation's request, and of each type the fields by their names on the wire, with the name in Go and
// the type.
type sdkTable struct {
	Requests map[string]string               `json:"requests"`
	Types    map[string]map[string][2]string `json:"types"`
}

func (s sdkTable) add(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[def.FilePart]() || t == reflect.TypeFor[def.MultiPart]() || s.Types[t.Name()] != nil {
		return
	}
	fields := map[string][2]string{}
	s.Types[t.Name()] = fields
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = [2]string{f.Name, strings.ReplaceAll(f.Type.String(), "model.", "")}
		s.add(f.Type)
	}
}

// TestSDKTable keeps the table equal to the SDK.
func TestSDKTable(t *testing.T) {
	t.Parallel()
	table := sdkTable{map[string]string{}, map[string]map[string][2]string{}}
	for _, m := range methods() {
		request := m.Type.In(1).Elem()
		table.Requests[m.Name] = request.Name()
		table.add(request)
	}
	text, err := json.MarshalIndent(table, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(sdkFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(sdkFile); err != nil || !bytes.Equal(kept, text) {
		t.Errorf("%s is not what the SDK has (%v); make it anew with -update", sdkFile, err)
	}
}
