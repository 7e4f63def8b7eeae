// nvrtc.cpp: a stand-in for NVRTC: what it makes is the list of entries found in the source, for the stand-in of the
// driver. It knows the options of the real one that we use.
#include <cstring>
#include <string>

struct Program { std::string source, result, log; };
enum { OK = 0, INVALID_OPTION = 5, COMPILATION = 6 };
#define EXPORT extern "C" __attribute__((visibility("default")))
static int n_compiled = 0;

EXPORT int nvrtcVersion(int* major, int* minor) { *major = 12; *minor = 9; return OK; }
EXPORT int nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char* const*,
                              const char* const*) {
  *program = new Program{source, "", ""};
  return OK;
}
EXPORT int nvrtcDestroyProgram(Program** program) { delete *program; *program = nullptr; return OK; }
EXPORT int nvrtcCompileProgram(Program* program, int n, const char* const* options) {
  n_compiled++;
  program->result = "stand-in module";
  for (int i = 0; i < n; i++) {
    const std::string option = options[i];
    const bool is_arch = option.rfind("--gpu-architecture=", 0) == 0;
    // A card that this compiler does not know.
    if ((is_arch && option.find("sm_120") != std::string::npos) || (!is_arch && option != "--std=c++17")) {
      program->log = "unknown option " + option;
      return INVALID_OPTION;
    }
    program->result += " " + option;
  }
  program->result += "\n";
  if (program->source.find("#include") != std::string::npos) {
    program->log = "cannot open a header";
    return COMPILATION;
  }
  // extern "C" __global__ void [__launch_bounds__(128...)] NAME(
  const std::string mark = "extern \"C\" __global__ void", bounds = "__launch_bounds__(128";
  for (size_t at = 0; (at = program->source.find(mark, at)) != std::string::npos;) {
    at += mark.size();
    size_t begin = program->source.find_first_not_of(" \n", at);
    if (program->source.compare(begin, bounds.size(), bounds) == 0)
      begin = program->source.find_first_not_of(" \n", program->source.find(')', begin) + 1);
    program->result += program->source.substr(begin, program->source.find('(', begin) - begin) + "\n";
  }
  return OK;
}
EXPORT int nvrtcGetProgramLogSize(Program* program, size_t* n) { *n = program->log.size() + 1; return OK; }
EXPORT int nvrtcGetProgramLog(Program* program, char* to) { strcpy(to, program->log.c_str()); return OK; }
EXPORT int nvrtcGetPTXSize(Program* program, size_t* n) { *n = program->result.size() + 1; return OK; }
EXPORT int nvrtcGetPTX(Program* program, char* to) { strcpy(to, program->result.c_str()); return OK; }
EXPORT int nvrtcGetCUBINSize(Program* program, size_t* n) { *n = program->result.size() + 1; return OK; }
EXPORT int nvrtcGetCUBIN(Program* program, char* to) { strcpy(to, program->result.c_str()); return OK; }
EXPORT const char* nvrtcGetErrorString(int) { return "an error"; }
EXPORT int standin_n_compiled() { return n_compiled; }
