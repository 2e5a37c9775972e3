// The same as awaiting/ by GIO, in the thread-default main context:
//
//     awaiting-gio KIND TREE REPORT
//
// The kinds are stat, open, read, list and stream; of the first three with -64 so many are under way at once. The report is
// the same line: seconds, seconds of processor time, how often this thread went to sleep, calls, and the sum of what they gave.
#define _GNU_SOURCE
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { BUFFER = 256 << 10, PAGE = 4096, BATCH = 100 };

// What is summed up of an entry.
static const char ATTRIBUTES[] = "standard::size,unix::mode";

typedef void (*Start)(const char *path);

static GPtrArray *files, *directories, *paths;
static guint next, under_way;
static guint64 calls, sum;
static Start start;
static GMainLoop *loop;
static char *buffer;

static void fail(GError *error) {
    fprintf(stderr, "awaiting-gio: %s\n", error->message);
    exit(1);
}

// A call has ended, and another one takes its place.
static void ended(void) {
    under_way--;
    if (next < paths->len) {
        under_way++;
        start(g_ptr_array_index(paths, next++));
    } else if (under_way == 0) {
        g_main_loop_quit(loop);
    }
}

static void count(GFileInfo *info) {
    calls++;
    sum += (guint64)g_file_info_get_size(info) +
           (g_file_info_get_attribute_uint32(info, G_FILE_ATTRIBUTE_UNIX_MODE) & 07777);
}

// One byte of each page, of a piece that begins at `offset` of its file.
static void count_bytes(const char *bytes, gsize length, guint64 offset) {
    sum += length;
    for (gsize at = (PAGE - offset % PAGE) % PAGE; at < length; at += PAGE)
        sum += (guchar)bytes[at];
}

static void stat_done(GObject *file, GAsyncResult *result, gpointer unused) {
    (void)unused;
    GError *error = NULL;
    GFileInfo *info = g_file_query_info_finish(G_FILE(file), result, &error);
    if (!info)
        fail(error);
    count(info);
    g_object_unref(info);
    ended();
}

static void start_stat(const char *path) {
    GFile *file = g_file_new_for_path(path);
    g_file_query_info_async(file, ATTRIBUTES, G_FILE_QUERY_INFO_NONE, G_PRIORITY_DEFAULT, NULL, stat_done, NULL);
    g_object_unref(file);
}

static void closed(GObject *stream, GAsyncResult *result, gpointer unused) {
    (void)unused;
    GError *error = NULL;
    if (!g_input_stream_close_finish(G_INPUT_STREAM(stream), result, &error))
        fail(error);
    g_object_unref(stream);
    ended();
}

static void opened(GObject *file, GAsyncResult *result, gpointer unused) {
    (void)unused;
    GError *error = NULL;
    GFileInputStream *stream = g_file_read_finish(G_FILE(file), result, &error);
    if (!stream)
        fail(error);
    calls++;
    sum++;
    g_input_stream_close_async(G_INPUT_STREAM(stream), G_PRIORITY_DEFAULT, NULL, closed, NULL);
}

static void start_open(const char *path) {
    GFile *file = g_file_new_for_path(path);
    g_file_read_async(file, G_PRIORITY_DEFAULT, NULL, opened, NULL);
    g_object_unref(file);
}

static void read_done(GObject *file, GAsyncResult *result, gpointer unused) {
    (void)unused;
    GError *error = NULL;
    char *bytes;
    gsize length;
    if (!g_file_load_contents_finish(G_FILE(file), result, &bytes, &length, NULL, &error))
        fail(error);
    calls++;
    count_bytes(bytes, length, 0);
    g_free(bytes);
    ended();
}

static void start_read(const char *path) {
    GFile *file = g_file_new_for_path(path);
    g_file_load_contents_async(file, NULL, read_done, NULL);
    g_object_unref(file);
}

static void listed(GObject *source, GAsyncResult *result, gpointer unused) {
    GFileEnumerator *enumerator = G_FILE_ENUMERATOR(source);
    GError *error = NULL;
    GList *infos = g_file_enumerator_next_files_finish(enumerator, result, &error);
    if (error)
        fail(error);
    if (!infos) {
        g_object_unref(enumerator);
        ended();
        return;
    }
    for (GList *info = infos; info; info = info->next)
        count(info->data);
    g_list_free_full(infos, g_object_unref);
    g_file_enumerator_next_files_async(enumerator, BATCH, G_PRIORITY_DEFAULT, NULL, listed, unused);
}

static void list_opened(GObject *file, GAsyncResult *result, gpointer unused) {
    GError *error = NULL;
    GFileEnumerator *enumerator = g_file_enumerate_children_finish(G_FILE(file), result, &error);
    if (!enumerator)
        fail(error);
    g_file_enumerator_next_files_async(enumerator, BATCH, G_PRIORITY_DEFAULT, NULL, listed, unused);
}

static void start_list(const char *path) {
    GFile *file = g_file_new_for_path(path);
    g_file_enumerate_children_async(file, ATTRIBUTES, G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, G_PRIORITY_DEFAULT, NULL,
                                    list_opened, NULL);
    g_object_unref(file);
}

static void piece_read(GObject *stream, GAsyncResult *result, gpointer unused) {
    GError *error = NULL;
    gssize length = g_input_stream_read_finish(G_INPUT_STREAM(stream), result, &error);
    if (length < 0)
        fail(error);
    if (length == 0) {
        g_input_stream_close_async(G_INPUT_STREAM(stream), G_PRIORITY_DEFAULT, NULL, closed, NULL);
        return;
    }
    count_bytes(buffer, length, calls);
    calls += length;
    g_input_stream_read_async(G_INPUT_STREAM(stream), buffer, BUFFER, G_PRIORITY_DEFAULT, NULL, piece_read, unused);
}

static void stream_opened(GObject *file, GAsyncResult *result, gpointer unused) {
    GError *error = NULL;
    GFileInputStream *stream = g_file_read_finish(G_FILE(file), result, &error);
    if (!stream)
        fail(error);
    g_input_stream_read_async(G_INPUT_STREAM(stream), buffer, BUFFER, G_PRIORITY_DEFAULT, NULL, piece_read, unused);
}

static void start_stream(const char *path) {
    GFile *file = g_file_new_for_path(path);
    g_file_read_async(file, G_PRIORITY_DEFAULT, NULL, stream_opened, NULL);
    g_object_unref(file);
}

static const struct {
    const char *name;
    Start start;
    gboolean is_directory;
    guint in_flight;
} KINDS[] = {
    {"stat", start_stat, FALSE, 1},  {"stat-64", start_stat, FALSE, 64}, {"open", start_open, FALSE, 1},
    {"open-64", start_open, FALSE, 64}, {"read", start_read, FALSE, 1},  {"read-64", start_read, FALSE, 64},
    {"list", start_list, TRUE, 1},   {"stream", start_stream, FALSE, 1},
};

// Symbolic links and the like are only entries of their directories.
static void find(const char *tree) {
    g_ptr_array_add(directories, g_strdup(tree));
    for (guint at = 0; at < directories->len; at++) {
        const char *directory = g_ptr_array_index(directories, at);
        GError *error = NULL;
        GDir *dir = g_dir_open(directory, 0, &error);
        if (!dir)
            fail(error);
        for (const char *name; (name = g_dir_read_name(dir));) {
            char *path = g_build_filename(directory, name, NULL);
            if (g_file_test(path, G_FILE_TEST_IS_SYMLINK))
                g_free(path);
            else if (g_file_test(path, G_FILE_TEST_IS_DIR))
                g_ptr_array_add(directories, path);
            else
                g_ptr_array_add(files, path);
        }
        g_dir_close(dir);
    }
}

static double clock_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static long sleeps(void) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

int main(int argc, char **arguments) {
    guint in_flight = 0;
    gboolean is_directory = FALSE;
    for (gsize at = 0; argc == 4 && at < G_N_ELEMENTS(KINDS); at++) {
        if (strcmp(KINDS[at].name, arguments[1]) == 0) {
            start = KINDS[at].start;
            in_flight = KINDS[at].in_flight;
            is_directory = KINDS[at].is_directory;
        }
    }
    if (!start) {
        fputs("usage: awaiting-gio stat|stat-64|open|open-64|read|read-64|list|stream TREE REPORT\n", stderr);
        return 2;
    }
    files = g_ptr_array_new();
    directories = g_ptr_array_new();
    find(arguments[2]);
    paths = is_directory ? directories : files;
    buffer = g_malloc(BUFFER);
    loop = g_main_loop_new(NULL, FALSE);
    // What GIO loads at its first use (modules, monitors) is no part of a call.
    g_object_unref(g_file_new_for_path(arguments[2]));

    double wall = clock_of(CLOCK_MONOTONIC), processor = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    long slept = sleeps();
    for (; next < paths->len && under_way < in_flight;) {
        under_way++;
        start(g_ptr_array_index(paths, next++));
    }
    if (under_way)
        g_main_loop_run(loop);
    wall = clock_of(CLOCK_MONOTONIC) - wall;
    processor = clock_of(CLOCK_PROCESS_CPUTIME_ID) - processor;
    slept = sleeps() - slept;

    FILE *report = fopen(arguments[3], "w");
    if (!report)
        return 1;
    fprintf(report, "%.6f %.6f %ld %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "\n", wall, processor, slept, calls, sum);
    return fclose(report) ? 1 : 0;
}
