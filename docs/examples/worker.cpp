// A worker with libpq: worker QUEUE [IDLE_SECONDS]
// Connects by the PG* environment. Ends at SIGTERM or SIGINT; with IDLE_SECONDS also after that time without a task.
//   g++ -std=c++17 -I$(pg_config --includedir) worker.cpp -o worker -lpq
#include <libpq-fe.h>

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

struct SqlError : std::runtime_error {
    std::string state;
    explicit SqlError(const PGresult *r)
        : std::runtime_error(PQresultErrorMessage(r)), state(PQresultErrorField(r, PG_DIAG_SQLSTATE) ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : "") {}
};

volatile std::sig_atomic_t stopping = 0;
extern "C" void stop(int) { stopping = 1; }

// Runs a statement; throws SqlError.
Result query(PGconn *c, const char *sql, const std::vector<std::string> &args) {
    std::vector<const char *> values;
    for (const std::string &a : args) values.push_back(a.c_str());
    Result r(PQexecParams(c, sql, static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0), &PQclear);
    ExecStatusType status = PQresultStatus(r.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw SqlError(r.get());
    return r;
}

// Does the work and returns its result as JSON; an exception fails the task.
std::string work(const std::string &payload) {
    // A real worker parses the JSON here.
    if (payload.find("\"to\"") == std::string::npos) throw std::runtime_error("no address");
    return "{\"done\": true}";
}

// Runs one task; returns false if there was none.
bool run_one(PGconn *c, const std::string &worker, const std::string &queue) {
    Result task = query(c, "SELECT id, receipt, payload FROM pgqueue.next_task($1, $2)", {worker, queue});
    if (PQntuples(task.get()) == 0) return false;
    std::string id = PQgetvalue(task.get(), 0, 0), receipt = PQgetvalue(task.get(), 0, 1), payload = PQgetvalue(task.get(), 0, 2);
    std::optional<std::string> result;
    std::string error;
    try {
        result = work(payload);
    } catch (const std::exception &e) {
        error = e.what();
    }
    try {
        Result end = result ? query(c, "SELECT pgqueue.release_task($1, $2, $3)", {id, receipt, *result})
                            : query(c, "SELECT pgqueue.fail_task($1, $2, $3)", {id, receipt, error});
        std::printf("task %s %s\n", id.c_str(), PQgetvalue(end.get(), 0, 0));
    } catch (const SqlError &e) {
        // PQ001: the lease ended before the work did. PQ004: the task was cancelled. It does not belong to this worker any more.
        if (e.state != "PQ001" && e.state != "PQ004") throw;
        std::fprintf(stderr, "task %s lost: %s", id.c_str(), e.what());
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s QUEUE [IDLE_SECONDS]\n", argv[0]);
        return 2;
    }
    std::string queue = argv[1], idle = argc > 2 ? argv[2] : "5";
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    std::string worker = std::string(host) + "/" + std::to_string(getpid());
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);
    try {
        Connection c(PQconnectdb(""), &PQfinish);
        if (PQstatus(c.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(c.get()));
        while (!stopping) {
            if (run_one(c.get(), worker, queue)) continue;
            // The wait is short enough to notice a signal soon.
            Result found = query(c.get(), "CALL pgqueue.wait_for_task(ARRAY[$1::text], make_interval(secs => $2))", {queue, idle});
            if (*PQgetvalue(found.get(), 0, 0) == 'f' && argc > 2) break;
        }
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    return 0;
}
