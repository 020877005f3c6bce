// The outside worker of the benchmarks, a client on libpq; the PG environment variables say where to connect.
//   worker_loop drain KIND CLIENTS BATCH TASKS [PORTION]
//       takes TASKS waiting tasks and ends them, prints tasks a second; with PORTION it makes that many at a time
//       itself, outside the measured time
//   worker_loop flow KIND CLIENTS BATCH SECONDS
//       each client makes a batch, takes one, ends it; prints tasks a second
//   worker_loop wake KIND ROUNDS
//       prints median and 99th percentile of the milliseconds from a commit to the task in the hands of a
//       waiting client
//   worker_loop wait CLIENTS QUEUE
//       clients that wait for tasks of a queue, until it is terminated
// KIND is `pop` (a table, tasks are deleted as they are taken) or `queue` (pgqueue). Both hand the payload to the
// client. Each statement is a transaction of its own, and a batch is retained and released by two; a single task is
// released in the statement that takes the next one.
#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;
using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string &message) {
    std::fprintf(stderr, "worker_loop: %s\n", message.c_str());
    std::_Exit(1);
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// The wall clock, as the server's commit timestamps have it.
double wall_clock() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// A connection; an error ends the program.
class Session {
public:
    Session() : connection_(PQconnectdb("")) {
        if (PQstatus(connection_) != CONNECTION_OK) die(PQerrorMessage(connection_));
    }
    ~Session() { PQfinish(connection_); }
    Session(const Session &) = delete;

    Result run(const std::string &sql) { return checked(PQexec(connection_, sql.c_str())); }
    void prepare(const char *name, const char *sql) { checked(PQprepare(connection_, name, sql, 0, nullptr)); }
    // nullptr is NULL.
    Result execute(const char *name, const std::vector<const char *> &values) {
        return checked(
            PQexecPrepared(connection_, name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0));
    }
    // Waits for a notification and takes it.
    void wait_for_notification() {
        for (PGnotify *n = nullptr; (n = PQnotifies(connection_)) == nullptr;) {
            fd_set read;
            FD_ZERO(&read);
            FD_SET(PQsocket(connection_), &read);
            select(PQsocket(connection_) + 1, &read, nullptr, nullptr, nullptr);
            PQconsumeInput(connection_);
        }
    }

private:
    Result checked(PGresult *raw) {
        Result r(raw, PQclear);
        ExecStatusType status = PQresultStatus(r.get());
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) die(PQerrorMessage(connection_));
        return r;
    }
    PGconn *connection_;
};

// One worker's way to make, take and end tasks.
class Worker {
public:
    virtual ~Worker() = default;
    // Makes tasks; how many is fixed when the statement is prepared.
    void make() { session_.execute("make", {}); }
    // Takes up to `most` tasks and ends them, or ends them with the next call (one
    // at a time); returns how many it took.
    virtual int work(int most) = 0;
    // Ends what is left.
    virtual void finish() {}
    Session &session() { return session_; }

protected:
    Session session_;
};

class Pop : public Worker {
public:
    explicit Pop(int batch) {
        session_.prepare("make", ("INSERT INTO ready (payload) SELECT payload FROM payload, generate_series(1, " +
                                  std::to_string(batch) + ")").c_str());
        session_.prepare("pop", "DELETE FROM ready WHERE id IN ("
                                "SELECT id FROM ready ORDER BY priority, id FOR UPDATE SKIP LOCKED LIMIT $1) "
                                "RETURNING id, payload");
    }
    int work(int most) override { return PQntuples(session_.execute("pop", {std::to_string(most).c_str()}).get()); }
};

class Batches : public Worker {
public:
    explicit Batches(int batch) {
        session_.prepare("make", ("SELECT count(*) FROM pgqueue.create_tasks('bench', "
                                  "payloads => array_fill((SELECT payload FROM payload), ARRAY[" +
                                  std::to_string(batch) + "]))").c_str());
        session_.prepare("take", "SELECT id, receipt, payload FROM pgqueue.next_tasks('bench', '{bench}', $1)");
        session_.prepare("end", "SELECT status FROM pgqueue.release_tasks($1, $2)");
    }
    int work(int most) override {
        Result taken = session_.execute("take", {std::to_string(most).c_str()});
        int n = PQntuples(taken.get());
        if (n == 0) return 0;
        std::string ids = "{";
        for (int i = 0; i < n; i++) ids.append(i > 0 ? "," : "").append(PQgetvalue(taken.get(), i, 0));
        ids += "}";
        std::string receipt = std::string("{") + PQgetvalue(taken.get(), 0, 1) + "}";
        Result ended = session_.execute("end", {ids.c_str(), receipt.c_str()});
        for (int i = 0; i < n; i++)
            if (PQgetvalue(ended.get(), i, 0) != std::string_view("released")) die("a task was not released");
        return n;
    }
};

class Singles : public Worker {
public:
    Singles() {
        session_.prepare("take", "SELECT id, receipt, payload FROM pgqueue.next_task('bench', 'bench')");
        session_.prepare("next", "SELECT last.status, t.id, t.receipt, t.payload "
                                 "FROM (SELECT pgqueue.release_task($1, $2) AS status OFFSET 0) AS last "
                                 "LEFT JOIN pgqueue.next_task('bench', 'bench') AS t ON true");
        session_.prepare("end", "SELECT pgqueue.release_task($1, $2)");
    }
    int work(int) override {
        bool first = id_.empty();
        Result r = first ? session_.execute("take", {}) : session_.execute("next", {id_.c_str(), receipt_.c_str()});
        int row = PQntuples(r.get()) - 1, column = first ? 0 : 1;
        if (!first && PQgetvalue(r.get(), 0, 0) != std::string_view("released")) die("the task was not released");
        bool none = row < 0 || PQgetisnull(r.get(), row, column);
        id_ = none ? "" : PQgetvalue(r.get(), row, column);
        receipt_ = none ? "" : PQgetvalue(r.get(), row, column + 1);
        return none ? 0 : 1;
    }
    void finish() override {
        if (!id_.empty()) session_.execute("end", {id_.c_str(), receipt_.c_str()});
        id_.clear();
    }

private:
    std::string id_, receipt_;
};

std::unique_ptr<Worker> new_worker(std::string_view kind, int batch) {
    if (kind == "pop") return std::make_unique<Pop>(batch);
    if (kind != "queue") die("unknown kind " + std::string(kind));
    if (batch == 1) return std::make_unique<Singles>();
    return std::make_unique<Batches>(batch);
}

// Runs `loop` with each worker in a thread of its own, all from the same moment on; returns
// the seconds until the last one is ready.
double together(std::vector<std::unique_ptr<Worker>> &workers, const std::function<void(Worker &)> &loop) {
    std::barrier start(static_cast<std::ptrdiff_t>(workers.size()) + 1);
    std::vector<std::thread> threads;
    for (auto &w : workers)
        threads.emplace_back([&] {
            start.arrive_and_wait();
            loop(*w);
        });
    start.arrive_and_wait();
    auto begin = Clock::now();
    for (std::thread &t : threads) t.join();
    return seconds_since(begin);
}

std::vector<std::unique_ptr<Worker>> new_workers(std::string_view kind, int clients, int batch) {
    std::vector<std::unique_ptr<Worker>> workers;
    for (int i = 0; i < clients; i++) workers.push_back(new_worker(kind, batch));
    return workers;
}

// Takes `tasks` waiting tasks; returns the seconds.
double drain(std::vector<std::unique_ptr<Worker>> &workers, int batch, long tasks) {
    std::atomic<long> left = tasks;
    auto wanted = [&] {
        long n, seen = left;
        do n = std::clamp<long>(seen, 0, batch);
        while (n > 0 && !left.compare_exchange_weak(seen, seen - n));
        return n;
    };
    return together(workers, [&](Worker &w) {
        auto last = Clock::now();
        for (long n; (n = wanted()) > 0;) {
            int taken = w.work(static_cast<int>(n));
            left += n - taken;
            if (taken > 0) last = Clock::now();
            else if (seconds_since(last) > 10) die("no task for 10 seconds");
        }
        w.finish();
    });
}

void drain_mode(std::string_view kind, int clients, int batch, long tasks, int portion) {
    auto workers = new_workers(kind, clients, batch);
    auto maker = new_worker(kind, portion > 0 ? portion : 2);
    // Some more before, so that all are warm.
    if (portion > 0) maker->make();
    drain(workers, batch, portion > 0 ? portion : static_cast<long>(clients) * batch);
    double seconds = 0;
    for (long done = 0; done < tasks; done += portion > 0 ? portion : tasks) {
        if (portion > 0) maker->make();
        seconds += drain(workers, batch, portion > 0 ? portion : tasks);
    }
    std::printf("%.0f\n", static_cast<double>(tasks) / seconds);
}

void flow_mode(std::string_view kind, int clients, int batch, double seconds) {
    auto workers = new_workers(kind, clients, batch);
    auto turn = [&](Worker &w) {
        w.make();
        return w.work(batch);
    };
    together(workers, [&](Worker &w) { turn(w); });
    std::atomic<long> done = 0;
    auto begin = Clock::now();
    double took = together(workers, [&](Worker &w) {
        while (seconds_since(begin) < seconds) done += turn(w);
    });
    std::printf("%.0f\n", static_cast<double>(done) / took);
}

// One session waits and takes, the other one creates now and then. The commit's own time comes from its
// WAL record; neither waits for the disk.
void wake_mode(std::string_view kind, int rounds) {
    bool queue = kind == "queue";
    Session maker, waiter;
    for (Session *s : {&maker, &waiter}) s->run("SET synchronous_commit = off");
    maker.prepare("make", queue ? "SELECT pgqueue.create_task('bench', payload), pg_current_xact_id()::xid FROM payload"
                                : "WITH made AS (INSERT INTO ready (payload) SELECT payload FROM payload RETURNING id) "
                                  "SELECT pg_notify('ready', ''), pg_current_xact_id()::xid FROM made");
    waiter.prepare("take", queue ? "SELECT id, receipt, payload FROM pgqueue.next_task('bench', 'bench')"
                                 : "DELETE FROM ready WHERE id IN ("
                                   "SELECT id FROM ready ORDER BY priority, id FOR UPDATE SKIP LOCKED LIMIT 1) "
                                   "RETURNING id, payload");
    if (!queue) waiter.run("LISTEN ready");
    std::vector<double> taken;
    std::vector<std::string> xids;
    std::thread waiting([&] {
        while (taken.size() < static_cast<std::size_t>(rounds)) {
            if (queue) waiter.run("CALL pgqueue.wait_for_task('{bench}', '10 seconds')");
            else waiter.wait_for_notification();
            if (PQntuples(waiter.execute("take", {}).get()) == 1) taken.push_back(wall_clock());
        }
    });
    for (int i = 0; i < rounds; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        xids.emplace_back(PQgetvalue(maker.execute("make", {}).get(), 0, 1));
    }
    waiting.join();
    std::vector<double> ms;
    for (int i = 0; i < rounds; i++) {
        Result at = maker.run("SELECT extract(epoch FROM pg_xact_commit_timestamp('" +
                              xids[static_cast<std::size_t>(i)] + "'))");
        ms.push_back((taken[static_cast<std::size_t>(i)] - std::atof(PQgetvalue(at.get(), 0, 0))) * 1000);
    }
    std::sort(ms.begin(), ms.end());
    std::printf("%.3f %.3f\n", ms[ms.size() / 2], ms[ms.size() * 99 / 100]);
}

void wait_mode(int clients, const std::string &queue) {
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; i++)
        threads.emplace_back([&queue] {
            Session s;
            for (;;) s.run("CALL pgqueue.wait_for_task('{" + queue + "}', '1 hour')");
        });
    for (std::thread &t : threads) t.join();
}

}  // namespace

int main(int argc, char **argv) {
    std::vector<std::string> args(argv + 1, argv + argc);
    std::string_view mode = args.empty() ? "" : args[0];
    auto number = [&](std::size_t i) { return std::stol(args[i]); };
    if (mode == "drain" && args.size() >= 5)
        drain_mode(args[1], static_cast<int>(number(2)), static_cast<int>(number(3)), number(4),
                   args.size() > 5 ? static_cast<int>(number(5)) : 0);
    else if (mode == "flow" && args.size() == 5)
        flow_mode(args[1], static_cast<int>(number(2)), static_cast<int>(number(3)), std::stod(args[4]));
    else if (mode == "wake" && args.size() == 3)
        wake_mode(args[1], static_cast<int>(number(2)));
    else if (mode == "wait" && args.size() == 3)
        wait_mode(static_cast<int>(number(1)), args[2]);
    else
        die("wrong arguments, see the head of worker_loop.cpp");
}
