package container

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"go.yaml.in/yaml/v4"

	"atelier/internal/fault"
)

// Catalogue says which image a step gets. Its form in a file is that of images.yml, beside this one.
type Catalogue struct {
	Default  string            `yaml:"default"`  // name of the image of steps that name none
	Keywords map[string]string `yaml:"keywords"` // the same for steps with a keyword
	Images   map[string]string `yaml:"images"`   // address of the image with a name
}

//go:embed images.yml
var defaultCatalogue []byte

// DefaultCatalogue returns the catalogue of an installation that has none of its own.
func DefaultCatalogue() *Catalogue {
	c, err := parseCatalogue(defaultCatalogue)
	if err != nil {
		panic(err) // a test reads it
	}
	return c
}

// ReadCatalogue reads a catalogue from a file.
func ReadCatalogue(path string) (*Catalogue, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseCatalogue(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parseCatalogue(data []byte) (*Catalogue, error) {
	c := new(Catalogue)
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var wrong []error
	if _, ok := c.Images[c.Default]; !ok {
		wrong = append(wrong, fmt.Errorf("default: there is no image %q; there are %s", c.Default, known(c.Images)))
	}
	for _, keyword := range slices.Sorted(maps.Keys(c.Keywords)) {
		if name := c.Keywords[keyword]; c.Images[name] == "" {
			wrong = append(wrong, fmt.Errorf("keywords: %s: there is no image %q; there are %s", keyword, name, known(c.Images)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Images)) {
		if _, err := parseImage(c.Images[name]); err != nil {
			wrong = append(wrong, fmt.Errorf("images: %s: %q is not the address of an image: %w", name, c.Images[name], err))
		}
	}
	return c, errors.Join(wrong...)
}

// prefix is how a build file marks the name of an image; the properties of a step have the name without it.
const prefix = "cloudbuild@"

// image returns the image that a step gets: the one that it asks for, by a name or by an address, which has a slash, or else that of
// its keyword.
func (c *Catalogue) image(asked, keyword string) (reference.Named, error) {
	name, marked := strings.CutPrefix(asked, prefix)
	if strings.Contains(name, "/") && !marked {
		image, err := parseImage(name)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%q is not the address of an image: %v", asked, err)
		}
		return image, nil
	}
	if asked == "" {
		if name = c.Keywords[keyword]; name == "" {
			name = c.Default
		}
	}
	address, ok := c.Images[name]
	if !ok {
		return nil, fault.New(fault.Invalid,
			"there is no image called %q here; there are %s. The full address of another image has a slash, as in docker.io/library/alpine:3.",
			name, known(c.Images))
	}
	return parseImage(address)
}

// check returns what is wrong with the images that steps ask for, each once, as one fault.
func (c *Catalogue) check(asked []string) error {
	var wrong []string
	for _, image := range asked {
		if _, err := c.image(image, ""); err != nil {
			why, public := fault.Public(err)
			if !public {
				return err
			}
			if !slices.Contains(wrong, why) {
				wrong = append(wrong, why)
			}
		}
	}
	if wrong == nil {
		return nil
	}
	return fault.New(fault.Invalid, "%s", strings.Join(wrong, "\n"))
}

// parseImage completes the address of an image as Docker does: with its registry and the tag latest.
func parseImage(address string) (reference.Named, error) {
	image, err := reference.ParseNormalizedNamed(address)
	if err != nil {
		return nil, err
	}
	return reference.TagNameOnly(image), nil
}
