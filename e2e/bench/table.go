package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// format is the median with the spread behind it.
func (s spread) format(unit float64, digits int) string {
	if s.Median == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.Median/unit, digits, s.Min/unit, digits, s.Max/unit)
}

func ratio(s spread) string { return number(s.Median, 2) }

// number is a dash for what was not measured.
func number(v float64, digits int) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// writeTable writes a Markdown table that is a table before it is rendered too.
// The first row is the head; columns of numbers are to the right.
func writeTable(out io.Writer, rows [][]string) {
	const words = 2 // columns of them
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < words {
				cell += padding
			} else {
				cell = padding + cell
			}
			fmt.Fprintf(out, "| %s ", cell)
		}
		fmt.Fprintln(out, "|")
	}
	line(rows[0])
	for i, width := range widths {
		rule, end := strings.Repeat("-", width+1), "-"
		if i >= words {
			end = ":"
		}
		fmt.Fprintf(out, "|%s%s", rule, end)
	}
	fmt.Fprintln(out, "|")
	for _, row := range rows[1:] {
		line(row)
	}
}
