package httpapi

import (
	"mime"
	"net/http"
	"path"
	"strings"

	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/fault"
)

func (a *API) artifactOperations() []operation {
	return []operation{
		handle("ShowOutputInfo", "GET /v3/jobs/{job_id}/{build_no}/output-info", outdated, "What a build has uploaded.", a.showOutputInfo),
		handle("DownloadArtifact", "GET "+artifact.Route+"{project_id}/*", own, "A file of a project's release repository.", a.downloadArtifact),
	}
}

type outputInfoRequest struct {
	JobID   jobID   `path:"job_id"`
	BuildNo buildNo `path:"build_no"`
}

// outputInfoAnswer has null in place of what is empty. The key of a package is its name, that of an image its address.
type outputInfoAnswer struct {
	PackageInfo  *outputInfo           `json:"package_info"` // the first
	PackageInfos map[string]outputInfo `json:"package_infos" doc:",null"`
	ImageInfos   map[string]outputInfo `json:"image_infos" doc:",null"`
}

// outputInfo is a file that a build has uploaded, or an image that it has pushed. Its uri is the path of its download, or the address of
// the image by its digest.
type outputInfo struct {
	ProjectID        build.ProjectID `json:"project_id"`
	Name             string          `json:"name"`
	Version          string          `json:"version"`
	PackageType      string          `json:"package_type"`
	URI              string          `json:"uri"`
	Type             string          `json:"type"`
	DailyBuildNumber string          `json:"daily_build_number"`
}

func (a *API) showOutputInfo(c call, in outputInfoRequest) (*envelope[outputInfoAnswer], error) {
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	if err != nil {
		return nil, err
	}
	files, err := a.Artifacts.Of(c.ctx(), record.ID)
	if err != nil {
		return nil, err
	}
	var answer outputInfoAnswer
	for _, f := range files {
		info := outputInfo{
			ProjectID: f.ProjectID, Name: f.Name, Version: f.Version, PackageType: strings.TrimPrefix(path.Ext(f.Name), "."), URI: artifact.Path(f),
			Type: "package", DailyBuildNumber: record.DailyNumber,
		}
		if answer.PackageInfo == nil {
			answer.PackageInfo, answer.PackageInfos = &info, make(map[string]outputInfo)
		}
		key := f.Name
		if _, taken := answer.PackageInfos[key]; taken {
			key = f.Version + "/" + f.Name
		}
		answer.PackageInfos[key] = info
	}
	outputs, err := a.Builds.Outputs(c.ctx(), record.ID)
	if err != nil {
		return nil, err
	}
	for _, output := range outputs {
		if output.Kind == build.ImageOutput {
			setOutput(&answer.ImageInfos, output.Reference, imageInfo(record, output))
		} else {
			setOutput(&answer.PackageInfos, output.Reference, objectInfo(record, output))
		}
	}
	return wrap(answer), nil
}

type downloadArtifactRequest struct {
	ProjectID projectID `path:"project_id"`
	File      word      `path:"*"` // version and name
}

func (a *API) downloadArtifact(c call, in downloadArtifactRequest) (*artifactFile, error) {
	project, file := build.ProjectID(in.ProjectID), string(in.File)
	if err := a.Builds.Check(c.ctx(), c.actor(), build.JobRef{ProjectID: project}, build.View); err != nil {
		return nil, err
	}
	slash := strings.LastIndex(file, "/")
	if slash < 0 {
		return nil, fault.New(fault.NotFound, "the address of a file has a version and a name behind the project; found %q", shorten(file))
	}
	f, err := a.Artifacts.Open(c.ctx(), project, file[:slash], file[slash+1:])
	if err != nil {
		return nil, err
	}
	return &artifactFile{f}, nil
}

// artifactFile is an answer that is a file, of which a client may ask for parts, or only if it has changed.
type artifactFile struct{ *artifact.File }

func (f artifactFile) serve(w http.ResponseWriter, r *http.Request) {
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("ETag", `"`+f.SHA256+`"`)
	http.ServeContent(w, r, "", f.CreatedAt, f)
}

func setOutput(infos *map[string]outputInfo, key string, info outputInfo) {
	if *infos == nil {
		*infos = make(map[string]outputInfo)
	}
	(*infos)[key] = info
}

// imageInfo tells of an image. A tag stands behind the last colon of its address.
func imageInfo(record build.Record, image build.Output) outputInfo {
	colon := strings.LastIndex(image.Reference, ":")
	return outputInfo{
		ProjectID: record.ProjectID, Name: image.Reference[:colon], Version: image.Reference[colon+1:], PackageType: "image",
		URI: image.Reference[:colon] + "@" + image.Digest, Type: "image", DailyBuildNumber: record.DailyNumber,
	}
}

// objectInfo tells of a file in an object store.
func objectInfo(record build.Record, object build.Output) outputInfo {
	return outputInfo{
		ProjectID: record.ProjectID, Name: path.Base(object.Reference), PackageType: "obs", URI: object.Reference, Type: "obs", DailyBuildNumber: record.DailyNumber,
	}
}
