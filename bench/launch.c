// Runs a command and writes its wall time in seconds, its peak memory in KiB, the bytes that it and its children
// dirtied or wrote, and its exit status (128 + the signal that ended it) to a file:
//
//     launch REPORT COMMAND [ARGUMENT...]
//
// A child inherits the peak memory of the process that starts it, even through vfork: this program is
// small, so what it reports is the command's own.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count < 3)
        return 2;
    double started = now();
    pid_t child = vfork();
    if (child == 0) {
        execvp(arguments[2], arguments + 2);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        return 1;
    double seconds = now() - started;
    FILE *report = fopen(arguments[1], "w");
    if (!report)
        return 1;
    int result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(report, "%.6f %ld %lld %d\n", seconds, usage.ru_maxrss, usage.ru_oublock * 512LL, result);
    return fclose(report) ? 1 : 0;
}
