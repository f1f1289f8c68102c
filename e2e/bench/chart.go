package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/e2e/stack"
)

// The chart, in pixels. Text is about six wide.
const (
	chartWidth  = 820
	chartLabels = 230 // left of the bars
	chartRight  = 60  // of the longest bar, for its number
	chartTop    = 64  // title and legend
	chartFoot   = 44
	barHeight   = 11
	barGap      = 9 // between workloads
)

// colourOf is that of a target's bars, on white.
func colourOf(target string) string {
	switch target {
	case sallyportName:
		return "#d1741f"
	case unauditedName:
		return "#eab67f"
	case pgbouncerName:
		return "#8a99ab"
	}
	return "#5f7186"
}

// drawResults draws what the last run has left.
func drawResults(path string) error {
	root, err := stack.Root()
	if err != nil {
		return err
	}
	r, err := readReport(filepath.Join(root, resultsFile))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := r.chart(&out); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// bars are one workload's.
type bars struct {
	name   string
	ratios []spread // of the throughput to that of a direct connection, by target; zero where one did not take part
}

// chartBars are those of all workloads that have a throughput, for all targets but the direct one.
func (r report) chartBars() (targets []string, rows []bars, longest float64) {
	for _, t := range r.Targets {
		if t.Name != directName {
			targets = append(targets, t.Name)
		}
	}
	longest = 1
	for _, w := range r.Plan.Workloads {
		row := bars{name: w.Name, ratios: make([]spread, len(targets))}
		seen := false
		for i, target := range targets {
			for _, s := range r.Summaries {
				if w.Unit != notifications && s.Workload == w.Name && s.Target == target {
					row.ratios[i] = s.RateRatio[directName]
					seen = seen || row.ratios[i].Median > 0
					longest = max(longest, row.ratios[i].Median)
				}
			}
		}
		if seen {
			rows = append(rows, row)
		}
	}
	return targets, rows, longest
}

// chart draws the throughput of each target as a share of a direct connection's.
func (r report) chart(out io.Writer) error {
	targets, rows, longest := r.chartBars()
	if len(rows) == 0 {
		return errors.New("draw chart: no workload was compared with a direct connection")
	}
	unit := float64(chartWidth-chartLabels-chartRight) / longest
	var body bytes.Buffer
	y := chartTop
	for _, row := range rows {
		y = row.draw(&body, targets, y, unit) + barGap
	}
	height := y + chartFoot
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="11" fill="#24292f">`+"\n", chartWidth, height)
	fmt.Fprintf(out, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWidth, height)
	drawText(out, 10, 22, `font-size="15" font-weight="bold"`, "Throughput, as a share of a direct TLS connection's")
	drawLegend(out, targets)
	one := chartLabels + unit
	fmt.Fprintf(out, `<line x1="%.1f" y1="%d" x2="%.1[1]f" y2="%[3]d" stroke="#24292f" stroke-dasharray="3 3"/>`+"\n", one, chartTop-6, y)
	if _, err := body.WriteTo(out); err != nil {
		return err
	}
	drawText(out, 10, y+14, `fill="#57606a"`, r.Machine.String())
	drawText(out, 10, y+30, `fill="#57606a"`, fmt.Sprintf("Medians of %d rounds of %v a run, the targets taking turns; %s on every leg; dashed: direct TLS", r.Plan.Rounds, r.Plan.Duration, r.TLS))
	_, err := fmt.Fprintln(out, "</svg>")
	return err
}

// draw draws a workload's bars below y, and says where they end.
func (b bars) draw(out io.Writer, targets []string, y int, unit float64) int {
	top := y
	for i, s := range b.ratios {
		if s.Median == 0 {
			continue
		}
		length := s.Median * unit
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", chartLabels, y, length, barHeight-1, colourOf(targets[i]))
		drawText(out, chartLabels+int(length)+4, y+barHeight-2, `font-size="9"`, fmt.Sprintf("%.2f", s.Median))
		y += barHeight
	}
	drawText(out, chartLabels-8, (top+y)/2+4, `text-anchor="end"`, b.name)
	return y
}

func drawLegend(out io.Writer, targets []string) {
	x := 10
	for _, target := range targets {
		fmt.Fprintf(out, `<rect x="%d" y="34" width="10" height="10" fill="%s"/>`+"\n", x, colourOf(target))
		drawText(out, x+15, 43, "", target)
		x += 15 + 7*len(target) + 20
	}
}

func drawText(out io.Writer, x, y int, attributes, text string) {
	fmt.Fprintf(out, `<text x="%d" y="%d" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(text))
}
