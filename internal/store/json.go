package store

import (
	"encoding/json"
	"fmt"
)

// asJSON returns v as the text of a column. The types are this package's own, so it cannot fail for a reason of the data.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: encode %T: %v", v, err))
	}
	return string(text)
}

// fromJSON is the reverse of asJSON; an empty text leaves v as it is.
func fromJSON(text string, v any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("stored %T is not readable: %w", v, err)
	}
	return nil
}
