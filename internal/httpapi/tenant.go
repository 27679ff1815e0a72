package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/iam"
)

func (a *API) tenantOperations() []operation {
	return []operation{
		handle("ShowSummaryBuildJobInfo", "GET /v1/domain/job-summary", current, "Tasks, builds and success ratio of the tenant.", a.showSummary),
		handle("ShowRelatedProject", "GET /v1/domain/project/related", current, "Projects of the caller.", a.listProjects),
		handle("ListRelatedProjectInfo", "GET /v1/domain/project/related-page", current, "Projects of the caller, paged and searched.", a.listProjectPage),
		handle("ShowDomainStatus", "GET /v1/domain/status", current, "Status of the tenant.", a.showDomainStatus),
		handle("ShowDomainsStatuses", "POST /v1/domain/domains-statuses", current, "Status of some tenants.", a.showDomainStatuses),
		handle("ShowAvailableInnerSpec", "GET /v2/resource/spec", current, "Classes of executors of an architecture.", a.listClasses),
		handle("ShowUserOverPackageQuota", "GET /v1/domain/package/quota", current, "Is the build time of the month used up?", a.showQuota),
		handle("ShowUserChargeType", "GET /v1/domain/charge-type", current, "How the tenant pays.", a.showChargeType),
		handle("ShowPackageSpecCountDown", "POST /v2/resource/countdown", current, "Packages that end soon.", a.listEndingPackages),
		handle("CheckJobCountIsTopLimit", "GET /v1/job/check/count", current, "Can the tenant have no more tasks?", a.checkJobCount),
		handle("CheckJobInternal", "GET /v1/job/permission/internal", current, "Can the service be reached from private networks only?", a.checkInternal),
		handle("ShowImageTemplateList", "GET /v1/image/templates", current, "Images that steps can ask for by name.", a.listImages),
		handle("ShowDockerfileTemplate", "GET /v1/image/dockerfile-template", current, "Dockerfile that begins with one of them.", a.downloadDockerfile),
	}
}

type summaryAnswer struct {
	Summary struct {
		SuccessRatio int    `json:"avg_success_ratio"`
		Builds       int    `json:"build_no"`
		Jobs         int    `json:"job_total"`
		Versions     string `json:"version_total"`
	} `json:"summary"`
}

func (a *API) showSummary(c call, _ struct{}) (*envelope[summaryAnswer], error) {
	sum, err := a.Builds.Summary(c.ctx(), c.actor())
	var answer summaryAnswer
	s := &answer.Summary
	s.SuccessRatio, s.Builds, s.Jobs, s.Versions = sum.SuccessRatio, sum.Builds, sum.Jobs, number(sum.Versions)
	return wrap(answer), err
}

// relatedProject is a project of the caller. Status is always 1, normal.
type relatedProject struct {
	ID             string `json:"identifier"`
	Name           string `json:"name"`
	AuthorID       string `json:"author_id"`
	AuthorDomainID string `json:"author_domain_id"`
	IsCreator      bool   `json:"is_creator"`
	Status         int    `json:"status"`
}

type relatedProjects struct {
	Projects []relatedProject `json:"project_info_list"`
	Total    int              `json:"total"`
}

func (a *API) listProjects(c call, _ struct{}) (*envelope[relatedProjects], error) {
	projects, err := a.IAM.ProjectsOf(c.ctx(), c.actor())
	return wrap(relatedProjects{list(projects, presentProject(c)), len(projects)}), err
}

func presentProject(c call) func(iam.Project) relatedProject {
	return func(p iam.Project) relatedProject {
		return relatedProject{p.ID, p.Name, p.CreatorID, p.DomainID, p.CreatorID == c.actor().UserID, 1}
	}
}

type projectPageRequest struct {
	Page     page     `query:"page_no"`
	PageSize pageSize `query:"page_size"`
	Search   word     `query:"search"`
}

func (a *API) listProjectPage(c call, in projectPageRequest) (*envelope[relatedProjects], error) {
	projects, err := a.IAM.ProjectsOf(c.ctx(), c.actor())
	projects = slices.DeleteFunc(projects, func(p iam.Project) bool {
		return !strings.Contains(strings.ToLower(p.Name), strings.ToLower(string(in.Search)))
	})
	total, size := len(projects), in.PageSize.rows()
	first := min((max(int(in.Page), 1)-1)*size, total)
	return wrap(relatedProjects{list(projects[first:min(first+size, total)], presentProject(c)), total}), err
}

// domainStatus is the tenant as the vendor's billing sees it: in order, with nothing to pay.
type domainStatus struct {
	Status         int  `json:"status"` // 1 is normal
	FreeQuota      bool `json:"free_quota"`
	AllowCustomEnv int  `json:"allow_custom_env"`
}

func (a *API) showDomainStatus(call, struct{}) (*envelope[domainStatus], error) {
	return wrap(domainStatus{1, true, oneIf(a.Anywhere)}), nil
}

type domainStatusesRequest struct {
	Body struct {
		IDs commaList `json:"domain_ids"`
	} `body:"json"`
}

// commaList is a text with commas, which clients also send as a list.
type commaList []string

// UnmarshalJSON implements [json.Unmarshaler].
func (l *commaList) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(l))
	}
	var text looseText
	if err := text.UnmarshalJSON(data); err != nil {
		return err
	}
	*l = nil
	for id := range strings.SplitSeq(string(text), ",") {
		if id = strings.TrimSpace(id); id != "" {
			*l = append(*l, id)
		}
	}
	return nil
}

type domainStatusAnswer struct {
	domainStatus
	ServiceName         string `json:"service_name"`
	DomainID            string `json:"domain_id"`
	DomainName          string `json:"domain_name"`
	FreePackageQuota    bool   `json:"free_package_quota"`
	IsFederation        int    `json:"is_federation"`
	IsWhitelist         int    `json:"is_whitelist"`
	Region              string `json:"region"`
	PackageType         text   `json:"package_type"` // null: there are no packages
	DomainType          int    `json:"domain_type"`
	DomainBusinessType  string `json:"domain_business_type"`
	MaliciousDockerArgs text   `json:"domain_malicious_docker_args"`
	SpecThreshold       string `json:"spec_threshold"` // JSON: how many builds of each class run at a time
}

type threshold struct {
	Spec      string `json:"spec"`
	Threshold int    `json:"threshold"`
}

// showDomainStatuses answers for the caller's own tenant; others are left out, as if they were not there.
func (a *API) showDomainStatuses(c call, in domainStatusesRequest) (*envelope[[]domainStatusAnswer], error) {
	if n := len(in.Body.IDs); n == 0 || n > maxListed {
		return nil, invalid(codeInvalid, "domain_ids", "must have 1 to %d ids, found %d", maxListed, n)
	}
	answer := []domainStatusAnswer{}
	if !slices.Contains(in.Body.IDs, c.actor().DomainID) {
		return wrap(answer), nil
	}
	engines, err := a.Builds.Engines(c.ctx())
	if err != nil {
		return nil, err
	}
	thresholds := []threshold{}
	for _, arch := range []string{"X86", "ARM"} {
		for _, class := range build.ClassesOf(engines, arch) {
			slots := 0
			for _, e := range engines {
				if e.Arch == arch && slices.Contains(e.Classes, class) {
					slots += e.Slots
				}
			}
			thresholds = append(thresholds, threshold{fmt.Sprintf("cbhost-%s-%s", arch, class), slots})
		}
	}
	text, err := json.Marshal(thresholds)
	return wrap(append(answer, domainStatusAnswer{
		domainStatus: domainStatus{1, true, oneIf(a.Anywhere)}, ServiceName: "CodeCI", DomainID: c.actor().DomainID, DomainName: c.caller.Domain.Name,
		Region: a.Region, DomainType: 1, DomainBusinessType: "NORMAL", SpecThreshold: string(text),
	})), err
}

type classesRequest struct {
	ProjectID projectID `query:"project_id" required:"true"`
	Arch      word      `query:"arch" required:"true" doc:"x86-64|arm"`
}

// listClasses answers with a bare list. DEFAULT is the smallest class, and there only with another one.
func (a *API) listClasses(c call, in classesRequest) ([]string, error) {
	arch, ok := map[word]string{"x86-64": "X86", "arm": "ARM"}[in.Arch]
	if !ok {
		return nil, invalid(codeInvalid, "arch", "must be x86-64 or arm, found %q", shorten(string(in.Arch)))
	}
	if _, err := a.IAM.Standing(c.ctx(), c.actor(), build.ProjectID(in.ProjectID)); err != nil {
		return nil, err
	}
	engines, err := a.Builds.Engines(c.ctx())
	classes := build.ClassesOf(engines, arch)
	if len(classes) > 0 {
		classes = append([]string{"DEFAULT"}, classes...)
	}
	return classes, err
}

type quotaAnswer struct {
	BuildQuota  string `json:"build_quota"`
	IsOverQuota bool   `json:"is_over_quota"`
}

type quotaRequest struct {
	ProjectID projectID `query:"project_id" required:"true"`
}

// showQuota: no build time is ever used up.
func (a *API) showQuota(c call, in quotaRequest) (*envelope[quotaAnswer], error) {
	_, err := a.IAM.Standing(c.ctx(), c.actor(), build.ProjectID(in.ProjectID))
	return wrap(quotaAnswer{"unlimit", false}), err
}

type chargeAnswer struct {
	Type       string     `json:"type"`
	ChargeType text       `json:"charge_type"`
	Resources  []struct{} `json:"main_resource_list"`
}

// showChargeType: nobody pays, so there are no packages.
func (a *API) showChargeType(call, struct{}) (*envelope[chargeAnswer], error) {
	return wrap(chargeAnswer{Type: "self-hosted", Resources: []struct{}{}}), nil
}

type countdownRequest struct {
	Body struct {
		ServiceType looseText `json:"service_type"`
		ResourceID  looseText `json:"resource_id"`
		ReminderDay looseText `json:"reminder_day"`
	} `body:"json"`
}

// listEndingPackages: there are no packages that could end.
func (a *API) listEndingPackages(_ call, in countdownRequest) (*envelope[[]struct{}], error) {
	b := in.Body
	given := map[string]looseText{"service_type": b.ServiceType, "resource_id": b.ResourceID, "reminder_day": b.ReminderDay}
	err := missing(without([]string{"service_type", "resource_id", "reminder_day"}, func(key string) bool { return given[key] != "" })...)
	return wrap([]struct{}{}), err
}

func (a *API) checkJobCount(c call, _ struct{}) (*envelope[bool], error) {
	reached, err := a.Builds.JobLimitReached(c.ctx(), c.actor())
	return wrap(reached), err
}

func (a *API) checkInternal(call, struct{}) (*envelope[bool], error) { return wrap(a.Internal), nil }

// Image is an image that build steps can ask for by name.
type Image struct {
	Name    string
	Address string // such as docker.io/library/golang:1.25
}

// ID is a UUID that follows from the name.
func (i Image) ID() string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("cloudbuild@"+i.Name)).String()
}

// parts returns the organization, the repository and the tag of an address.
func (i Image) parts() (organization, repository, tag string) {
	path := i.Address
	if at := strings.LastIndex(path, ":"); at > strings.LastIndex(path, "/") {
		path, tag = path[:at], path[at+1:]
	}
	segments := strings.Split(path, "/")
	if len(segments) > 1 {
		organization = segments[len(segments)-2]
	}
	return organization, segments[len(segments)-1], tag
}

type imageAnswer struct {
	ImageID      string  `json:"image_id"`
	ImageName    string  `json:"image_name"`
	ImageLabel   string  `json:"image_label"`
	BaseImage    string  `json:"base_image"`
	Organization string  `json:"organization"`
	Title        string  `json:"title"`
	Description  string  `json:"description"`
	CreateTime   isoTime `json:"create_time"` // null: the catalogue does not say
}

type imagesAnswer struct {
	Images []imageAnswer `json:"image_templates"`
}

func (a *API) listImages(call, struct{}) (*envelope[imagesAnswer], error) {
	return wrap(imagesAnswer{list(a.Images, func(i Image) imageAnswer {
		organization, repository, tag := i.parts()
		return imageAnswer{
			ImageID: i.ID(), ImageName: i.Name, ImageLabel: tag, BaseImage: repository, Organization: organization,
			Title: i.Name, Description: "A step asks for it as cloudbuild@" + i.Name + " and gets " + i.Address + ".",
		}
	})}), nil
}

type dockerfileRequest struct {
	ImageID recordID `query:"image_id" required:"true"`
}

func (a *API) downloadDockerfile(_ call, in dockerfileRequest) (*download, error) {
	at := slices.IndexFunc(a.Images, func(i Image) bool { return i.ID() == string(in.ImageID) })
	if at < 0 {
		return nil, fault.New(fault.NotFound, "image %s does not exist", in.ImageID)
	}
	text := "# What an image of your own has besides stands below; push it, and name its address as the image of a step.\nFROM " + a.Images[at].Address + "\n"
	return &download{name: "Dockerfile", size: int64(len(text)), body: io.NopCloser(strings.NewReader(text))}, nil
}
