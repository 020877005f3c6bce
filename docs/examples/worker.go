// A worker with lib/pq: worker QUEUE [IDLE_SECONDS]
// Connects by the PG* environment. Ends at SIGTERM or SIGINT; with IDLE_SECONDS also after that time without a task.
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/lib/pq"
)

// Does the work and returns its result; an error fails the task.
func work(payload []byte) (map[string]string, error) {
	var mail struct{ To string }
	if err := json.Unmarshal(payload, &mail); err != nil {
		return nil, err
	}
	if mail.To == "" {
		return nil, errors.New("no address")
	}
	return map[string]string{"sent": mail.To}, nil
}

// Runs one task; returns false if there was none.
func runOne(db *sql.DB, worker, queue string) (bool, error) {
	var id, receipt int64
	var payload []byte
	err := db.QueryRow("SELECT id, receipt, payload FROM pgqueue.next_task($1, $2)", worker, queue).Scan(&id, &receipt, &payload)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var status string
	result, failure := work(payload)
	if failure != nil {
		err = db.QueryRow("SELECT pgqueue.fail_task($1, $2, $3)", id, receipt, failure.Error()).Scan(&status)
	} else {
		text, _ := json.Marshal(result)
		err = db.QueryRow("SELECT pgqueue.release_task($1, $2, $3)", id, receipt, string(text)).Scan(&status)
	}
	// PQ001: the lease ended before the work did. PQ004: the task was cancelled. It does not belong to this worker any more.
	var refused *pq.Error
	if errors.As(err, &refused) && (refused.Code == "PQ001" || refused.Code == "PQ004") {
		log.Printf("task %d lost: %s", id, refused.Message)
		return true, nil
	}
	if err == nil {
		fmt.Println("task", id, status)
	}
	return true, err
}

func main() {
	if len(os.Args) < 2 {
		log.Fatalf("usage: %s QUEUE [IDLE_SECONDS]", os.Args[0])
	}
	queue, idle := os.Args[1], "5"
	if len(os.Args) > 2 {
		idle = os.Args[2]
	}
	host, _ := os.Hostname()
	worker := fmt.Sprintf("%s/%d", host, os.Getpid())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	db, err := sql.Open("postgres", "")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for len(stop) == 0 {
		ran, err := runOne(db, worker, queue)
		if err != nil {
			log.Fatal(err)
		}
		if ran {
			continue
		}
		var found bool
		// The wait is short enough to notice a signal soon.
		err = db.QueryRow("CALL pgqueue.wait_for_task(ARRAY[$1::text], make_interval(secs => $2))", queue, idle).Scan(&found)
		if err != nil {
			log.Fatal(err)
		}
		if !found && len(os.Args) > 2 {
			break
		}
	}
}
