package store

import (
	"encoding/json"
	"fmt"
	"strings"
)

// asJSON returns v as the text of a column. The types are this package's own, so it cannot fail for a reason of the data.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: encode %T: %v", v, err))
	}
	return string(text)
}

// fromJSON is the reverse of asJSON; an empty text leaves v as it is. A number whose type is not known keeps its digits.
func fromJSON(text string, v any) error {
	if text == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("stored %T is not readable: %w", v, err)
	}
	return nil
}
