package plan

import "atelier/internal/glob"

// APKSigning signs the packages of Android apps with the program apksigner of the executor.
type APKSigning struct {
	Pattern          string // of the packages
	Keystore         string // name of a file in file management
	KeystorePassword string
	Alias            string // of the key in it
	KeyPassword      string // empty for that of the key store
	Arguments        string // of apksigner, as the shell takes them
}

// Variables that lead the commands of a signing step to its private files.
const (
	KeystoreVariable         = "ATELIER_KEYSTORE"
	KeystorePasswordVariable = "ATELIER_KEYSTORE_PASSWORD"
	KeyPasswordVariable      = "ATELIER_KEY_PASSWORD"
)

// apkSigning puts the settings of an android_sign step together.
func apkSigning(in settings) *APKSigning {
	s := &APKSigning{
		Pattern: in.texts["file_path"], Keystore: in.texts["keystore_file"], KeystorePassword: in.texts["keystore_password"],
		Alias: in.texts["alias"], KeyPassword: in.texts["key_password"], Arguments: in.texts["apksigner_commond"],
	}
	if _, err := glob.Parse(withPlaceholders(s.Pattern)); err != nil && s.Pattern != "" {
		in.report("file_path", "%v", err)
	}
	return s
}
