// A caller in Go, with a stub that protoc makes of the project's own proto: `main ADDRESS CASE`, where CASE is the file that
// conftest.py writes. What it got goes to standard output as one JSON object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"canari/clients/oip"
)

type columns struct {
	Age      []float64 `json:"age"`
	Visits   []int64   `json:"visits"`
	Smoker   []bool    `json:"smoker"`
	Exercise []string  `json:"exercise"`
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func tensor(name, datatype string, rows int, contents *oip.InferTensorContents) *oip.ModelInferRequest_InferInputTensor {
	return &oip.ModelInferRequest_InferInputTensor{
		Name: name, Datatype: datatype, Shape: []int64{int64(rows), 1}, Contents: contents,
	}
}

func request(model string, c columns) *oip.ModelInferRequest {
	rows := len(c.Age)
	exercise := make([][]byte, rows)
	for i, level := range c.Exercise {
		exercise[i] = []byte(level)
	}
	return &oip.ModelInferRequest{
		ModelName: model,
		Id:        "from-go",
		Inputs: []*oip.ModelInferRequest_InferInputTensor{
			tensor("age", "FP64", rows, &oip.InferTensorContents{Fp64Contents: c.Age}),
			tensor("visits", "INT64", rows, &oip.InferTensorContents{Int64Contents: c.Visits}),
			tensor("smoker", "BOOL", rows, &oip.InferTensorContents{BoolContents: c.Smoker}),
			tensor("exercise", "BYTES", rows, &oip.InferTensorContents{BytesContents: exercise}),
		},
	}
}

func main() {
	var rows columns
	if err := json.Unmarshal(must(os.ReadFile(os.Args[2])), &rows); err != nil {
		must(0, err)
	}
	connection := must(grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer connection.Close()
	stub := oip.NewGRPCInferenceServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	var trailer metadata.MD
	named := metadata.AppendToOutgoingContext(ctx, "x-request-id", "go-1")
	answer := must(stub.ModelInfer(named, request("toy", rows), grpc.Trailer(&trailer)))

	refused := request("toy", rows)
	refused.Inputs[3].Contents.BytesContents[0] = []byte("much")
	_, invalid := stub.ModelInfer(ctx, refused)
	_, unknown := stub.ModelInfer(ctx, request("other", rows))
	expired, stop := context.WithTimeout(ctx, time.Nanosecond)
	defer stop()
	_, late := stub.ModelInfer(expired, request("toy", rows))
	health := must(healthpb.NewHealthClient(connection).Check(ctx, &healthpb.HealthCheckRequest{}))

	must(0, json.NewEncoder(os.Stdout).Encode(map[string]any{
		"predictions": answer.Outputs[0].Contents.Fp64Contents,
		"id":          answer.Id,
		"request_id":  trailer.Get("x-request-id"),
		"version":     trailer.Get("x-canari-version"),
		"live":        must(stub.ServerLive(ctx, &oip.ServerLiveRequest{})).Live,
		"ready":       must(stub.ModelReady(ctx, &oip.ModelReadyRequest{Name: "toy"})).Ready,
		"inputs":      len(must(stub.ModelMetadata(ctx, &oip.ModelMetadataRequest{Name: "toy"})).Inputs),
		"health":      health.Status.String(),
		"invalid":     status.Convert(invalid).Message(),
		"codes":       []codes.Code{status.Code(invalid), status.Code(unknown), status.Code(late)},
	}))
}
