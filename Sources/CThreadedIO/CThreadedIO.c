#include "CThreadedIO.h"
