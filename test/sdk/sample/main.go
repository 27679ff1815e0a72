// Sample prints the record of a build, the way the vendor's sample programs do: with the official SDK, a key from the environment,
// and a region by its name. Where ATELIER_ENDPOINT is set it goes there instead, and asks nobody for the project's id.
//
//	sample REGION JOB NUMBER
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/region"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sample REGION JOB NUMBER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(regionID, job, number string) error {
	client, err := connect(regionID)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return err
	}
	record, err := client.ShowRecordInfo(&model.ShowRecordInfoRequest{JobId: job, BuildNo: int32(n)})
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%+v\n", record)
	return err
}

func connect(regionID string) (*codeartsbuild.CodeArtsBuildClient, error) {
	auth := basic.NewCredentialsBuilder().WithAk(os.Getenv("CLOUD_SDK_AK")).WithSk(os.Getenv("CLOUD_SDK_SK"))
	var server *core.HcHttpClientBuilder
	if endpoint := os.Getenv("ATELIER_ENDPOINT"); endpoint != "" {
		auth.WithProjectId(os.Getenv("HUAWEICLOUD_SDK_PROJECT_ID"))
		server = codeartsbuild.CodeArtsBuildClientBuilder().WithEndpoint(endpoint)
	} else {
		where, err := region.SafeValueOf(regionID)
		if err != nil {
			return nil, err
		}
		server = codeartsbuild.CodeArtsBuildClientBuilder().WithRegion(where)
	}
	who, err := auth.SafeBuild()
	if err != nil {
		return nil, err
	}
	http, err := server.WithCredential(who).SafeBuild()
	if err != nil {
		return nil, err
	}
	return codeartsbuild.NewCodeArtsBuildClient(http), nil
}
